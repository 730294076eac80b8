"""The device as bus master: what it puts on the bus, and where that goes.

A device reaches memory by the handles it was given. Without an IOMMU the bus lets everything else through as well, and so
does this: the bytes go where the hardware would put them, and it is reported. An IOMMU stops it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kmock.drivers.pci.wires import PciWires
from kmock.hw.iommu import Fault, FaultError
from kmock.lang.ptr import make_ptr
from kmock.sanitizers.dma_entry import COHERENT, DMA_FROM_DEVICE, DMA_MAPPING_ERROR, DMA_TO_DEVICE, RESOURCE, SG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.sanitizers.dma_entry import Mapping

_BDF: Final = re.compile(r"(?:[0-9a-f]{4}:)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])")
_PAGE: Final = 4096


class Master:
    """Transfers of the devices of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def read(self, dev: Any, addr: int, n: int) -> bytes:
        """``kernel.dma_read()``: the device reads; all ones where nothing answers."""
        dev = _plain(dev)
        out = bytearray()
        for at, size, m in self._parts(dev, addr, n, write=False):
            out += self._fetch(dev, at, size, m)
        return bytes(out)

    def write(self, dev: Any, addr: int, data: bytes) -> None:
        """``kernel.dma_write()``: the device writes."""
        dev = _plain(dev)
        done = 0
        for at, size, m in self._parts(dev, addr, len(data), write=True):
            self._deposit(dev, at, data[done : done + size], m)
            done += size

    def _parts(self, dev: device, addr: int, n: int, *, write: bool) -> Iterator[tuple[int, int, Mapping | None]]:
        """Check a transfer; cut it where the mapping that it begins in ends."""
        if n <= 0:
            return
        m = self._mapping(dev, addr, n, write=write)
        inside = min(n, m.end - addr) if m is not None else 0
        if m is not None:
            allowed = self._vet(m, addr, inside, write=write)
            yield addr, inside, m if allowed else None
        if inside < n:
            self._stray(dev, addr + inside, n - inside, m, write=write)
            yield addr + inside, n - inside, None

    def _mapping(self, dev: device, addr: int, n: int, *, write: bool) -> Mapping | None:
        """The mapping that the device means: one that holds all of it and may be used so, else one that begins there."""
        wrong = DMA_TO_DEVICE if write else DMA_FROM_DEVICE
        found = self.kernel.dma.debug.over(dev, addr)
        if len(found) == 1:
            return found[0]
        return min(found, key=lambda m: (addr + n > m.end, m.direction == wrong), default=None)

    # -- where the bytes are ----------------------------------------------------------------------

    def _runs(self, m: Mapping, addr: int, n: int) -> Iterator[tuple[int, int, bool]]:
        """Physical address, length, and whether the caches may hold something else."""
        for phys, size, offset in m.runs(addr - m.dma, n):
            yield (m.bounce + offset, size, False) if m.bounce >= 0 else (phys, size, m.cached)

    def _fetch(self, dev: device, addr: int, n: int, m: Mapping | None) -> bytes:
        k = self.kernel
        if m is None:
            return b"".join(
                k.ram.bytes[at : at + size].tobytes() if at >= 0 else b"\xff" * size
                for at, size in self._unmapped(dev, addr, n, write=False)
            )
        if m.type == RESOURCE:
            return b"".join(self._peer_read(at, size) for at, size in _words(m.phys + addr - m.dma, n))
        if m.type == COHERENT:
            k.dma.barriers.fetched(m, m.phys + addr - m.dma, n)
        return b"".join(
            k.dma.caches.read(at, size) if cached else k.ram.bytes[at : at + size].tobytes()
            for at, size, cached in self._runs(m, addr, n)
        )

    def _deposit(self, dev: device, addr: int, data: bytes, m: Mapping | None) -> None:
        k = self.kernel
        done = 0
        if m is None:
            for at, size in self._unmapped(dev, addr, len(data), write=True):
                if at >= 0:
                    k.ram.bytes[at : at + size] = data[done : done + size]
                done += size
        elif m.type == RESOURCE:
            for at, size in _words(m.phys + addr - m.dma, len(data)):
                self._peer_write(at, data[done : done + size])
                done += size
        else:
            if m.type == COHERENT:
                at = m.phys + addr - m.dma
                k.dma.barriers.deposited(m, at, data)
                k.dma.hearsay.deposited(at, len(data))
            for at, size, cached in self._runs(m, addr, len(data)):
                piece = data[done : done + size]
                if cached:
                    k.dma.caches.write(at, piece)
                else:
                    k.ram.bytes[at : at + size] = piece
                done += size

    def _peer_read(self, phys: int, n: int) -> bytes:
        """Read registers of another device."""
        window = self.kernel.bus.overlapping(phys, phys + n)
        return window.read(phys - window.base, n).to_bytes(n, "little") if window is not None else b"\xff" * n

    def _peer_write(self, phys: int, data: bytes) -> None:
        window = self.kernel.bus.overlapping(phys, phys + len(data))
        if window is not None:
            window.write(phys - window.base, len(data), int.from_bytes(data, "little"))

    def _unmapped(self, dev: device, addr: int, n: int, *, write: bool) -> list[tuple[int, int]]:
        """Where a transfer that nobody allowed goes: physical pieces; an address of -1 for nowhere."""
        k = self.kernel
        if k.config.iommu:
            try:
                return k.dma.iommu.domain(dev).translate(addr, n, write=write)
            except FaultError:
                return [(-1, n)]
        return [(addr, n) if k.ram.exists(addr) and k.ram.exists(addr + n - 1) else (-1, n)]

    # -- what is wrong with it --------------------------------------------------------------------

    def _vet(self, m: Mapping, addr: int, n: int, *, write: bool) -> bool:
        """Look at a transfer inside a mapping; whether it may take place as the mapping's."""
        k = self.kernel
        dma = k.dma
        start = addr - m.dma
        if m.type == COHERENT and "dma_pools" in vars(k):
            k.dma_pools.device_accessed(m, start, n, write=write)
        if m.direction == (DMA_TO_DEVICE if write else DMA_FROM_DEVICE):
            does = "writes to" if write else "reads"
            self._report("dma-device-wrong-direction", m.dev, addr, n, m, [f"the device {does} it"], write=write)
            return not k.config.iommu
        if m.owner is not None and not m.owner.live and m.watched:
            lines = [f"{m.owner.what} was freed, and the device still uses it"]
            dma.debug.own("dma-device-after-unmap", m, lines, key=(m, "freed"), stacks=self._stacks(m))
        if m.watched:
            dma.ownership.device_accessed(m, start, start + n, write=write)
            if not write and m.owner is not None and m.owner.written is not None:
                for phys, size, _ in m.runs(start, n):
                    p = make_ptr(k.layout.page_offset + phys, m.owner)
                    k.kmsan.check_leaves(p, size, addr, "device")
        return True

    def _stray(self, dev: device, addr: int, n: int, m: Mapping | None, *, write: bool) -> None:
        """Report a transfer of bytes that are not mapped; ``m`` is the mapping that it left."""
        dma = self.kernel.dma
        does = "writes" if write else "reads"
        lines = [f"the device {does} {n} bytes at {addr:#x}"]
        if m is not None:
            self._report("dma-device-out-of-bounds", dev, addr, n, m, lines, write=write)
            return
        past = dma.debug.ended(dev, addr)
        kind, why = self._nobodys(dev, addr, past)
        near = past if past is not None and kind in ("dma-device-after-unmap", "dma-remove-while-active") else None
        if kind == "dma-device-out-of-bounds":
            near = self._beside(dev, addr)
        self._report(kind, dev, addr, n, near, [*lines, why], write=write)

    def _nobodys(self, dev: device, addr: int, past: Mapping | None) -> tuple[str, str]:
        """Kind of report for a transfer outside all mappings, and what the address seems to be."""
        k = self.kernel
        dma = k.dma
        if addr >= DMA_MAPPING_ERROR - _PAGE:
            return self._error_used(dev)
        if not addr and dev in dma.failed_sg:
            return "dma-map-sg-zero-unchecked", "dma_map_sg() returned 0, and its list was used all the same"
        if not addr:
            return "dma-device-before-map-complete", "the address is 0: the device was started before it was given one"
        if past is not None:
            if dev in dma.released and dev.driver is None:
                return "dma-remove-while-active", "the driver is gone, and has not stopped the device"
            return "dma-device-after-unmap", "it was mapped, and is not any more"
        if addr >= k.layout.page_offset:
            return "dma-phys-as-bus", "that is an address of the kernel's, not of the device's"
        if self._beside(dev, addr) is not None:
            return "dma-device-out-of-bounds", "that is beside a mapping"
        if k.ram.exists(addr):
            return "dma-phys-as-bus", "that is a physical address of memory that is not mapped for the device"
        return "dma-device-out-of-bounds", "nothing was ever mapped there"

    def _error_used(self, dev: device) -> tuple[str, str]:
        dma = self.kernel.dma
        if any(m.type == SG and m.total < m.nents for m in dma.debug.of_device(dev)):
            return "dma-sg-wrong-count", "the list has fewer segments than entries: dma_map_sg() says how many"
        if dev in dma.exhausted:
            return "dma-swiotlb-exhausted", "there was no bounce buffer left, and the mapping failed"
        if dev in dma.failed_sg:
            return "dma-map-sg-zero-unchecked", "dma_map_sg() returned 0, and its list was used all the same"
        return "dma-map-error-unchecked", "that is DMA_MAPPING_ERROR: the mapping failed"

    def _beside(self, dev: device, addr: int) -> Mapping | None:
        """A mapping of the device in the same page as ``addr``."""
        found = [m for m in self.kernel.dma.debug.of_device(dev) if m.dma >> 12 <= addr >> 12 <= m.end - 1 >> 12]
        return min(found, key=lambda m: abs(m.dma - addr), default=None)

    def _report(
        self, kind: str, dev: device, addr: int, n: int, m: Mapping | None, lines: list[str], *, write: bool
    ) -> None:
        k = self.kernel
        stacks = self._stacks(m)
        if m is not None:
            stacks["mapped"] = m.stack
            lines.append(f"{k.dma.title(dev)}: {m.what}")
            if m.unmapped:
                stacks["unmapped"] = m.unmapped
        fault = self._fault(dev, addr, n, write=write)
        if fault is None and not k.config.dma_debug:
            return
        headline = f"BUG: kmock: {kind} in {k.symbol(stacks['access'])}"
        if fault is not None:
            code, reason = fault.reason
            found = _BDF.fullmatch(dev.name)
            headline = (
                f"DMAR: [DMA {'Write' if write else 'Read'} NO_PASID] Request device "
                f"[{found[1] if found else '00:00.0'}] fault addr {fault.address & -_PAGE:#x} "
                f"[fault reason {code:#04x}] {reason}"
            )
            k.log.write("DMAR: DRHD: handling fault status reg 3")
        key = (m, kind) if m is not None else (dev, addr >> 12, kind)
        k.report(kind, headline, lines=lines, stacks=stacks, key=key, attributes={"address": addr, "size": n})

    def _stacks(self, m: Mapping | None) -> dict[str, Any]:
        """Where it happens. A device that acts by itself has no driver below it: then, where the driver let it down."""
        here = self.kernel.capture()
        if m is None or (PciWires.read.__code__ not in here and PciWires.write.__code__ not in here):
            return {"access": here}
        return {"access": m.unmapped or m.stack, "device": here}

    def _fault(self, dev: device, addr: int, n: int, *, write: bool) -> Fault | None:
        """What the IOMMU says of the transfer, None where there is none, or it lets it through."""
        if not self.kernel.config.iommu:
            return None
        try:
            self.kernel.dma.iommu.domain(dev).translate(addr, n, write=write)
        except FaultError as error:
            return error.fault
        return None


def _plain(dev: Any) -> device:
    """The ``struct device`` of a test's device, which may be a PCI or platform device around it."""
    found: device = getattr(dev, "dev", dev)
    return found


def _words(phys: int, n: int) -> Iterator[tuple[int, int]]:
    """Cut a range into words of 4 bytes, and bytes where it must be."""
    while n:
        size = 4 if not phys % 4 and n >= 4 else 1
        yield phys, size
        phys += size
        n -= size
