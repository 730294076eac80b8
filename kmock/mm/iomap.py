"""Loads and stores of device registers: ``readl()`` and its kin (``asm/io.h``, ``lib/iomap.c``).

They are the only way to touch what ``ioremap()`` mapped. x86 lets a plain load through and says nothing; on
other machines that breaks, so here it is done and reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from kmock.lang.device_value import derived
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.sanitizers.describe import origin_stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.hw.mmio import Window
    from kmock.machine import Kernel
    from kmock.mm.ioremap import IoArea
    from kmock.stack import Stack

PIO_OFFSET: Final = 0x10000
PIO_RESERVED: Final = 0x40000
"""Cookies below stand for ports."""


def cookie(addr: Any) -> Ptr:
    """Return what an accessor was given as a pointer; None stands for NULL."""
    if addr.__class__ is Ptr:
        return addr
    return NULL if addr is None else as_ptr(addr)


class IoMap:
    """Accesses through the cookies of one kernel."""

    __slots__ = ("kernel", "posted")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.posted: tuple[Window, IoArea, int, Stack] | None = None
        """With lints, the last store, as long as nobody read from that device since."""

    # -- accessors --------------------------------------------------------------------------------

    def read(self, addr: int, width: int) -> int:
        """``readb()`` ... ``readq()``."""
        area = self._area(addr, width, write=False)
        if area is None:
            return int.from_bytes(self.kernel.mem.load(addr, 0, width), "little")
        window = self._window(area, int(addr), width, write=False)
        if window is None:
            return 0
        if self.posted is not None and self.posted[0] is window:
            self.posted = None
        phys = self._phys(area, addr)
        return derived(window.read(phys - window.base, width), phys)

    def write(self, value: int, addr: int, width: int) -> None:
        """``writeb()`` ... ``writeq()``."""
        value = int(value) & (1 << 8 * width) - 1
        area = self._area(addr, width, write=True)
        if area is None:
            self.kernel.mem.store(addr, 0, value.to_bytes(width, "little"))
            return
        window = self._window(area, int(addr), width, write=True)
        if window is not None:
            window.write(self._phys(area, addr) - window.base, width, value)
            if self.kernel.config.lint:
                self.posted = window, area, int(addr), self.kernel.capture()

    def delayed(self, by: str) -> None:
        """Somebody lets time pass for a device: what was written to it last may still be on its way."""
        if self.posted is None:
            return
        window, area, address, stack = self.posted
        self.posted = None
        text = f"{by}() begins to count before the last store to the device at {window.base:#x} has reached it"
        self._report("mmio-posted-no-flush", text, area, address, key=("posted", window), stored=stack)

    def cookie_read(self, addr: int, width: int, by: str) -> int:
        """``ioread8()`` ... ``ioread64()``: the cookie tells whether it stands for memory or for ports."""
        port = int(addr)
        if port >= PIO_RESERVED:
            return self.read(addr, width)
        if port > PIO_OFFSET:
            return self.kernel.io_ports.read(port - PIO_OFFSET, width, by)
        self._bad_io_access(port, by)
        return (1 << 8 * width) - 1

    def cookie_write(self, value: int, addr: int, width: int, by: str) -> None:
        """``iowrite8()`` ... ``iowrite64()``."""
        port = int(addr)
        if port >= PIO_RESERVED:
            self.write(value, addr, width)
        elif port > PIO_OFFSET:
            self.kernel.io_ports.write(value, port - PIO_OFFSET, width, by)
        else:
            self._bad_io_access(port, by)

    def _bad_io_access(self, port: int, by: str) -> None:
        text = f"Bad IO access at port {port:#x} ({by})"
        self.kernel.warn("mmio-accessor-wrong-space", "lib/iomap.c:44", "bad_io_access", text, key=(port, by))

    def read_string(self, addr: int, to: int, n: int, width: int, by: str) -> None:
        """``ioread8_rep()``, ``readsb()`` and their kin: ``n`` loads from one place, to memory."""
        data = b"".join(self.cookie_read(addr, width, by).to_bytes(width, "little") for _ in range(n))
        self.kernel.mem.store(to, 0, data)

    def write_string(self, addr: int, source: int, n: int, width: int, by: str) -> None:
        """``iowrite8_rep()``, ``writesb()`` and their kin: ``n`` stores to one place, from memory."""
        data = self.kernel.mem.load(source, 0, n * width) if n else b""
        for i in range(0, n * width, width):
            self.cookie_write(int.from_bytes(data[i : i + width], "little"), addr, width, by)

    def copy_from(self, to: int, source: int, n: int) -> None:
        """``memcpy_fromio()``: loads of the widest kind that fits, aligned at the device."""
        done = 0
        for width in _widths(int(source), n):
            data = self.read(_plus(source, done), width).to_bytes(width, "little")
            self.kernel.mem.store(to, done, data)
            done += width

    def copy_to(self, to: int, source: int, n: int) -> None:
        """``memcpy_toio()``."""
        data = self.kernel.mem.load(source, 0, n) if n else b""
        self._store(to, data)

    def fill(self, addr: int, value: int, n: int) -> None:
        """``memset_io()``."""
        self._store(addr, bytes([value & 0xFF]) * n)

    def _store(self, to: int, data: bytes) -> None:
        done = 0
        for width in _widths(int(to), len(data)):
            self.write(int.from_bytes(data[done : done + width], "little"), _plus(to, done), width)
            done += width

    # -- plain pointers ---------------------------------------------------------------------------

    def at(self, address: int) -> IoArea | None:
        """Return the living mapping whose pages ``address`` lies in."""
        k = self.kernel
        if not k.layout.is_vmalloc(address):
            return None
        found = k.vmalloc.probe(address)
        mapped = found is not None and found.area == "mmio" and found.live and address < found.addr + found.usable
        return found if mapped else None  # type: ignore[return-value]  # the area says which class it is

    def plain_load(self, area: IoArea, address: int, n: int) -> bytes:
        """A load that the compiler made, not an accessor."""
        self.plain(area, address, n, write=False)
        return b"".join(self._byte(area, at) for at in range(address, address + n))

    def plain_store(self, area: IoArea, address: int, data: bytes | bytearray | memoryview) -> None:
        """A store that the compiler made, not an accessor."""
        self.plain(area, address, len(data), write=True)
        bus = self.kernel.bus
        for i, value in enumerate(data):
            phys = self._phys(area, address + i)
            window = bus.overlapping(phys, phys + 1)
            if window is not None:
                window.write(phys - window.base, 1, value)

    def _byte(self, area: IoArea, address: int) -> bytes:
        phys = self._phys(area, address)
        window = self.kernel.bus.overlapping(phys, phys + 1)
        return bytes([window.read(phys - window.base, 1) if window is not None else 0])

    def plain(self, area: IoArea, address: int, n: int, *, write: bool) -> None:
        """Report a plain access, where the memory is none that memremap() mapped for that."""
        if area.call != "memremap":
            access = f"{'Write' if write else 'Read'} of size {n} at addr {address:016x} by a plain pointer"
            self._report("mmio-plain-access", access, area, address, key=(area, "plain"))
        elif address < area.addr + area.offset or address + n > area.end:
            self._report("mmio-out-of-range", _beyond(area, address, n), area, address, key=(area, "range"))

    # -- what it is about -------------------------------------------------------------------------

    def _area(self, addr: int, width: int, *, write: bool) -> IoArea | None:
        """Return the mapping an accessor goes to, None for ordinary memory; what is wrong with it is reported."""
        address = int(addr)
        if PIO_OFFSET <= address < PIO_RESERVED:
            self._port_as_memory(address)
        origin: IoArea | None = getattr(addr, "origin", None)
        if origin is not None and origin.area != "mmio":
            origin = None
        if origin is not None and origin.live and origin.addr + origin.offset <= address <= origin.end - width:
            return origin
        there = self.at(address)
        about = origin if origin is not None else there
        if about is None:
            return None
        if there is None:
            self.kernel.kasan.page_fault(address, write=write, origin=about, n=width)
        if not about.live:
            self._report("mmio-after-unmap", f"{about.what} is gone", about, address, key=(about, "stale"))
        elif not about.addr + about.offset <= address <= about.end - width:
            self._report("mmio-out-of-range", _beyond(about, address, width), about, address, key=(about, "range"))
        return there

    def _port_as_memory(self, address: int) -> NoReturn:
        """End the task: what ioport_map() returned is no address."""
        headline = f"BUG: unable to handle page fault for address: {address:016x}"
        line = f"this is the cookie of port {address - PIO_OFFSET:#x}: ioread8() and its kin take it, readb() does not"
        self.kernel.die("mmio-accessor-wrong-space", headline, lines=[line])

    def _window(self, area: IoArea, address: int, width: int, *, write: bool) -> Window | None:
        """Return the device that answers, None for none; report what it should not be asked."""
        bus = self.kernel.bus
        phys = self._phys(area, address)
        window = bus.overlapping(phys, phys + width)
        if window is None or phys < window.base or phys + width > window.end:
            beside = window or bus.overlapping(area.phys_addr, area.phys_addr + area.size)
            if beside is not None and area.phys_addr + area.offset <= phys:
                text = f"physical address {phys:#x} is outside the device's [mem {beside.base:#x}-{beside.end - 1:#x}]"
                self._report("mmio-out-of-range", text, area, address, key=(area, "window"))
            return None
        if not window.powered and window.present:
            text = f"the device at {window.base:#x} is turned off: a load gives all ones, a store is lost"
            self._report("mmio-after-disable", text, area, address, key=(window, "off"))
        problem = window.problem(phys - window.base, width, write=write)
        if problem is not None:
            self._report(problem.kind, problem.text, area, address, key=(window, problem))
        return window

    def _phys(self, area: IoArea, address: int) -> int:
        return area.phys_addr + int(address) - area.addr

    def _report(self, kind: str, text: str, area: IoArea, address: int, *, key: object, **stacks: Stack) -> None:
        k = self.kernel
        stack = k.capture()
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(stack)}",
            lines=[text],
            stacks={"access": stack, **stacks, **origin_stacks(area)},
            object=k.kasan.info(area, address),
            key=key,
            attributes={"address": address},
        )


def _beyond(area: IoArea, address: int, n: int) -> str:
    start = address - area.addr - area.offset
    return f"bytes {start:#x} to {start + n - 1:#x} of {area.size - area.offset:#x} that were mapped"


def _plus(p: int, n: int) -> int:
    return p + n if isinstance(p, Ptr) else int(p) + n


def _widths(address: int, n: int) -> Iterator[int]:
    """Cut ``n`` bytes at ``address`` into accesses of 4 bytes, and smaller ones where it must be."""
    while n:
        width = next(w for w in (4, 2, 1) if not address % w and w <= n)
        yield width
        address += width
        n -= width
