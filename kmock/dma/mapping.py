"""The DMA API (``kernel/dma/mapping.c``): what drivers call, and what is the same for all ways to map.

A handle is what the device puts on the bus: a physical address, an address of its IOMMU, or that of a bounce buffer.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final, NoReturn

from kmock.dma.barriers import Barriers
from kmock.dma.cache import Caches
from kmock.dma.coherent import Coherent
from kmock.dma.direct import Direct
from kmock.dma.hearsay import Hearsay
from kmock.dma.iommu import IommuOps
from kmock.dma.master import Master
from kmock.dma.ownership import Ownership
from kmock.dma.sg import ScatterGather
from kmock.dma.swiotlb import Swiotlb
from kmock.dma.vet import Vet, physical, valid
from kmock.drivers.core import driver_string
from kmock.hw.iommu import Iommu
from kmock.sanitizers.dma_debug import DmaDebug
from kmock.sanitizers.dma_entries import Ref
from kmock.sanitizers.dma_entry import (
    DMA_ATTR_SKIP_CPU_SYNC,
    DMA_BIDIRECTIONAL,
    DMA_FROM_DEVICE,
    DMA_MAPPING_ERROR,
    DMA_TO_DEVICE,
    RESOURCE,
    SINGLE,
    Mapping,
    Piece,
)
from kmock.stack import capture_ten

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.sanitizers.object import Allocation

_FILE: Final = "kernel/dma/mapping.c"
SIZEOF_IOVA: Final = 40
_DMA_OPS: Final = 0x260
"""Where the kernel looks first in a struct device: its ``dma_ops``."""


class Dma:
    """DMA of one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.debug = DmaDebug(kernel)
        self.vet = Vet(kernel)
        self.memory = Coherent(kernel)
        self.swiotlb = Swiotlb(kernel)
        self.caches = Caches(kernel)
        self.ownership = Ownership(kernel, self.debug)
        self.barriers = Barriers(kernel)
        self.hearsay = Hearsay(kernel)
        self.iommu = Iommu()
        self.ops: Direct | IommuOps = IommuOps(kernel, self.iommu) if kernel.config.iommu else Direct(kernel)
        self.sg = ScatterGather(kernel)
        self.master = Master(kernel)
        self.released: set[device] = set()
        """Devices that lost their driver."""
        self.exhausted: set[device] = set()
        """Devices that were refused a bounce buffer."""
        self.failed_sg: set[device] = set()
        """Devices for which a scatterlist could not be mapped."""
        self.masked: set[device] = set()
        """Devices whose driver has set a mask."""
        kernel.devices.unbound.append(self._unbound)

    @staticmethod
    def title(dev: Any) -> str:
        """How messages name a device: ``driver device``."""
        return f"{driver_string(dev)} {dev.name}" if dev is not None else "NULL NULL"

    def _unbound(self, dev: device) -> None:
        self.released.add(dev)
        self.masked.discard(dev)
        self.debug.unbound(dev)

    def coherent(self, dev: device) -> bool:
        """``dev_is_dma_coherent()``."""
        return dev.dma_coherent and self.kernel.config.dma_coherent

    # -- what every call asks ---------------------------------------------------------------------

    def check_direction(self, direction: int, line: int) -> None:
        """``BUG_ON(!valid_dma_direction(dir))``."""
        if direction not in (DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE):
            self.kernel.bug("dma-map-bad-direction", f"{_FILE}:{line}")

    def check_device(self, dev: device | None, *, begins: bool = False) -> None:
        """Look at whether there is a device, and where something ``begins``, whether it has a driver still."""
        k = self.kernel
        if not dev:
            self._null_device()
        if begins and dev.driver is None and self._gone(dev):
            stack = k.capture()
            lines = [f"{dev.name} has no driver any more"]
            headline = f"BUG: kmock: dma-after-release in {k.symbol(stack)}"
            k.report("dma-after-release", headline, lines=lines, stacks={"access": stack}, key=(dev, "released"))
        if begins and k.config.lint and dev not in self.masked:
            self.masked.add(dev)
            lines = [f"the driver of {dev.name} never said what it can address: call dma_set_mask_and_coherent()"]
            k.report("dma-mask-unset", f"BUG: kmock: dma-mask-unset in {k.symbol(k.capture())}", lines=lines)

    def _gone(self, dev: device) -> bool:
        """Whether the device lost its driver, which ``kernel.device()`` gives it, or its last reference."""
        k = self.kernel
        if dev in self.released or (dev in k.devices.plugged and dev.bus is None):
            return True
        return dev.kobj.initialized(k) and not dev.kobj.count(k)

    def _null_device(self) -> NoReturn:
        self.kernel.die(
            "dma-null-device",
            f"BUG: kernel NULL pointer dereference, address: {_DMA_OPS:016x}",
            lines=["#PF: supervisor read access in kernel mode", "#PF: error_code(0x0000) - not-present page"],
        )

    def has_mask(self, dev: device, line: int, function: str) -> bool:
        """``WARN_ON_ONCE(!dev->dma_mask)``: whether the device has a mask."""
        if dev.dma_mask is None:
            self.kernel.warn("dma-map-no-mask", f"{_FILE}:{line}", function, key=dev)
        return dev.dma_mask is not None

    def made_to_fail(self) -> bool:
        """Whether the test makes this mapping fail: by its memory for an address (alloc_iova_mem()), or by number.

        Without an IOMMU there is no such memory, and only ``fail_nth`` and what sweeps with it choose mappings.
        """
        faults = self.kernel.faults
        return faults.active and faults.should_fail_ex(
            faults.attr("failslab"), SIZEOF_IOVA, spared=not self.kernel.config.iommu
        )

    # -- mappings begin and end -------------------------------------------------------------------

    def begin(self, m: Mapping, bounce: int, owner: Allocation | None) -> None:
        """A mapping was made: hand its bytes to the device."""
        k = self.kernel
        k.seq = m.seq = k.seq + 1
        m.stack = capture_ten(2)
        m.owner = owner
        m.watched = m.streaming and all(k.ram.exists(phys) for _, phys, _ in m.pieces)
        if m.watched:
            m.bounce = bounce
            m.cached = bounce < 0 and not self.coherent(m.dev)
            if m.cached:
                self.caches.begin(m)
            self.ownership.begin(m)
            if not m.attrs & DMA_ATTR_SKIP_CPU_SYNC or bounce >= 0:
                self._flush(m, 0, m.size)
            if m.direction != DMA_TO_DEVICE:
                for _, phys, size in m.pieces:
                    self.vet.device_writes(phys, size)
        self.debug.add(m)

    def finish(self, m: Mapping, direction: int, attrs: int) -> None:
        """A mapping was ended by a call with ``direction`` and ``attrs``: its bytes are the driver's again."""
        if m.watched:
            if not attrs & DMA_ATTR_SKIP_CPU_SYNC:
                self._neighbours(m)
                self._refresh(m, 0, m.size, direction)
            self.ownership.unmapped(m)
            self.ownership.end(m)
            if m.cached:
                self.caches.end(m)
        self.ops.unmap(m)

    def _flush(self, m: Mapping, start: int, n: int) -> None:
        """Carry bytes to where the device sees them."""
        if m.bounce >= 0:
            self.swiotlb.bounce(m, start, n, to_device=True)
        elif m.cached:
            for phys, size, _ in m.runs(start, n):
                self.caches.clean(phys, size)

    def _refresh(self, m: Mapping, start: int, n: int, direction: int) -> None:
        """Carry bytes back to where the processor sees them; nothing to do where the device only reads."""
        if direction == DMA_TO_DEVICE:
            return
        if m.bounce >= 0:
            self.ownership.lost(m, start, start + n)
            self.swiotlb.bounce(m, start, n, to_device=False)
        elif m.cached:
            self.ownership.lost(m, start, start + n)
            for phys, size, _ in m.runs(start, n):
                self.caches.invalidate(phys, size)

    def _neighbours(self, m: Mapping) -> None:
        """Report what the processor wrote beside the buffer, in a line of which the device wrote another part."""
        if not m.cached or m.direction == DMA_TO_DEVICE or m.owner is None or m.owner.area not in ("slab", "page"):
            return
        k = self.kernel
        start, end = m.owner.addr - k.layout.page_offset, m.owner.end - k.layout.page_offset
        for _, phys, size in m.pieces:
            at = self.caches.neighbour_changed(phys, size)
            # Allocations of their own don't share lines on such a machine: kmalloc() sees to that there.
            if at is not None and start <= at < end:
                lines = [
                    f"byte {at - start} of {m.owner.what} shares a cacheline with the buffer, and was written meanwhile"
                ]
                self.debug.own("dma-map-shared-cacheline", m, lines)
                self.caches.spoil(at)
                return

    # -- single, page -----------------------------------------------------------------------------

    def map_single(self, dev: device, p: int, size: int, direction: int, attrs: int) -> int:
        """``dma_map_single_attrs()``: map ``size`` bytes at kernel address ``p``; DMA_MAPPING_ERROR where that can't be."""
        k = self.kernel
        self.check_device(dev, begins=True)
        address = int(p)
        if k.layout.is_vmalloc(address):
            self.vet.rejected(dev, p, size)
            return DMA_MAPPING_ERROR
        said = not valid(k, address)
        if said:
            self.vet.not_linear(dev, p, size)
        return self._map(dev, physical(k, address), size, direction, attrs, p, said=said)

    def map_page(self, dev: device, page: Page, offset: int, size: int, direction: int, attrs: int) -> int:
        """``dma_map_page_attrs()``."""
        self.check_device(dev, begins=True)
        return self._map(dev, page.phys + offset, size, direction, attrs, None, said=False)

    def _map(self, dev: device, phys: int, size: int, direction: int, attrs: int, p: int | None, *, said: bool) -> int:
        self.check_direction(direction, 150)
        if not self.has_mask(dev, 152, "dma_map_page_attrs"):
            return DMA_MAPPING_ERROR
        owner, bad = (None, True) if said else self.vet.buffer(dev, phys, size, p)
        if self.made_to_fail():
            return DMA_MAPPING_ERROR
        dma, bounce = self.ops.map(dev, phys, size, direction, attrs, said=bad)
        if dma != DMA_MAPPING_ERROR:
            m = Mapping(dev, SINGLE, dma, size, direction, (Piece(0, phys, size),), attrs)
            self.begin(m, bounce, owner)
        return dma

    def unmap_page(self, dev: device, dma: int, size: int, direction: int, attrs: int) -> None:
        """``dma_unmap_page_attrs()``, which ``dma_unmap_single()`` is too."""
        self.check_direction(direction, 172)
        self.check_device(dev)
        ref = Ref(dev, SINGLE, dma, size, direction, attrs=attrs)
        self._past_slot(ref)
        m = self.debug.check_unmap(ref)
        if m is not None:
            self.finish(m, direction, attrs)

    def mapping_error(self, dev: device, dma: int) -> int:
        """``dma_mapping_error()``: 0, or -ENOMEM where the handle is none."""
        self.debug.mapping_error(dev, dma)
        return -errno.ENOMEM if dma == DMA_MAPPING_ERROR else 0

    # -- sync -------------------------------------------------------------------------------------

    def sync_for_cpu(self, dev: device, dma: int, size: int, direction: int) -> None:
        """``dma_sync_single_for_cpu()``: the bytes are the driver's for the time being."""
        self.check_direction(direction, 333)
        self.check_device(dev)
        ref = Ref(dev, SINGLE, dma, size, direction)
        self._past_slot(ref)
        m = self.debug.check_sync(ref, to_cpu=True)
        if m is not None:
            self.give_cpu(m, dma - m.dma, size, direction)

    def sync_for_device(self, dev: device, dma: int, size: int, direction: int) -> None:
        """``dma_sync_single_for_device()``: the bytes are the device's again."""
        self.check_direction(direction, 347)
        self.check_device(dev)
        ref = Ref(dev, SINGLE, dma, size, direction)
        self._past_slot(ref)
        m = self.debug.check_sync(ref, to_cpu=False)
        if m is not None:
            self.give_device(m, dma - m.dma, size, direction)

    def give_cpu(self, m: Mapping, start: int, n: int, direction: int) -> None:
        """Carry out a sync for the processor."""
        m.synced = True
        if m.watched:
            self._refresh(m, start, n, direction)
            self.ownership.to_cpu(m, start, start + n)

    def give_device(self, m: Mapping, start: int, n: int, direction: int) -> None:
        """Carry out a sync for the device."""
        m.synced = True
        if m.watched:
            if direction != DMA_FROM_DEVICE or m.cached:
                self._flush(m, start, n)
            self.ownership.to_device(m, start, start + n)

    def _past_slot(self, ref: Ref) -> None:
        """``swiotlb_bounce()``: a sync or unmap of more than the bounce buffer holds."""
        if not self.swiotlb.used:
            return
        k = self.kernel
        m = next((m for m in self.debug.over(ref.dev, ref.dma) if m.bounce >= 0), None)
        if m is not None and ref.dma + ref.size > m.end:
            text = (
                f"{self.title(ref.dev)}: Buffer overflow detected. "
                f"Allocation size: {m.end - ref.dma}. Mapping size: {ref.size}."
            )
            stacks = {"access": k.capture(), "mapped": m.stack}
            at = "kernel/dma/swiotlb.c:545"
            report = k.warn("dma-swiotlb-overflow", at, "swiotlb_bounce", text, stacks=stacks)
            if report is not None:
                # dma-debug sees it, too.
                k.reports.also(report, *((f"kernel/dma/debug.c:{line}", (ref, "unknown")) for line in (974, 1104)))

    # -- resources --------------------------------------------------------------------------------

    def map_resource(self, dev: device, phys: int, size: int, direction: int, attrs: int) -> int:
        """``dma_map_resource()``: the registers of another device."""
        k = self.kernel
        self.check_direction(direction, 301)
        self.check_device(dev, begins=True)
        if not self.has_mask(dev, 303, "dma_map_resource"):
            return DMA_MAPPING_ERROR
        if any(phys < end and start < phys + size for start, end in k.ram.ranges):
            lines = [f"physical address {phys:#x} is RAM: map it with dma_map_single() or dma_map_page()"]
            headline = f"BUG: kmock: dma-resource-ram in {k.symbol(k.capture())}"
            k.report("dma-resource-ram", headline, lines=lines, key=("resource", phys))
        if self.made_to_fail():
            return DMA_MAPPING_ERROR
        dma = self.ops.map_resource(dev, phys, size, direction)
        if dma != DMA_MAPPING_ERROR:
            self.begin(Mapping(dev, RESOURCE, dma, size, direction, (Piece(0, phys, size),), attrs), -1, None)
        return dma

    def unmap_resource(self, dev: device, dma: int, size: int, direction: int, attrs: int) -> None:
        """``dma_unmap_resource()``."""
        self.check_direction(direction, 321)
        self.check_device(dev)
        m = self.debug.check_unmap(Ref(dev, RESOURCE, dma, size, direction, attrs=attrs))
        if m is not None:
            self.finish(m, direction, attrs)
