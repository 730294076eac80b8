"""I/O ports, the second address space of a PC (``arch/x86/include/asm/shared/io.h``), and devices that answer there.

Ports are 0 to 0xffff. A device is a window of them, with a model or plain bytes, as on the memory bus; where nobody answers
a load gives all ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.hw.mmio import Bus
from kmock.lang.device_value import derived
from kmock.lang.ptr import NULL, Ptr
from kmock.mm.iomap import PIO_OFFSET

if TYPE_CHECKING:
    from kmock.hw.mmio import Model, Window
    from kmock.machine import Kernel

PIO_MASK: Final = 0xFFFF


class Ports:
    """The ports of one kernel."""

    __slots__ = ("bus", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.bus = Bus()

    def window(self, base: int, size: int, model: Model | None) -> Window:
        """``kernel.ports()``: let a device answer at ``size`` ports from ``base`` on; ValueError where that can't be."""
        if base + size > PIO_MASK + 1:
            raise ValueError(f"ports {base:#x}-{base + size - 1:#x}: the last port is {PIO_MASK:#x}")
        return self.bus.add(base, size, model)

    def map(self, port: int, n: int) -> Ptr:
        """``ioport_map()``: return a cookie for ioread8() and its kin; NULL for what is no port."""
        return Ptr(port + PIO_OFFSET) if 0 <= port <= PIO_MASK and n else NULL

    def read(self, port: int, width: int, by: str) -> int:
        """``inb()``, ``inw()``, ``inl()``."""
        port = self._checked(port, by)
        window = self._window(port, width, write=False)
        return derived(window.read(port - window.base, width), port) if window is not None else (1 << 8 * width) - 1

    def write(self, value: int, port: int, width: int, by: str) -> None:
        """``outb()``, ``outw()``, ``outl()``."""
        port = self._checked(port, by)
        window = self._window(port, width, write=True)
        if window is not None:
            window.write(port - window.base, width, int(value) & (1 << 8 * width) - 1)

    def read_string(self, port: int, to: int, n: int, width: int, by: str) -> None:
        """``insb()`` and its kin: ``n`` loads from one port, to memory."""
        data = b"".join(self.read(port, width, by).to_bytes(width, "little") for _ in range(n))
        self.kernel.mem.store(to, 0, data)

    def write_string(self, port: int, source: int, n: int, width: int, by: str) -> None:
        """``outsb()`` and its kin: ``n`` stores to one port, from memory."""
        data = self.kernel.mem.load(source, 0, n * width) if n else b""
        for i in range(0, n * width, width):
            self.write(int.from_bytes(data[i : i + width], "little"), port, width, by)

    def _checked(self, port: int, by: str) -> int:
        """Return the port that the processor makes of a number; report one that is none."""
        number = int(port)
        if not 0 <= number <= PIO_MASK:
            self._report("mmio-accessor-wrong-space", f"{by}() of {number:#x}, which is no port", (by, number))
        return number & PIO_MASK

    def _window(self, port: int, width: int, *, write: bool) -> Window | None:
        window = self.bus.overlapping(port, port + width)
        if window is None:
            return None
        if port < window.base or port + width > window.end:
            text = f"ports {port:#x}-{port + width - 1:#x} go beyond the device's {window.base:#x}-{window.end - 1:#x}"
            self._report("mmio-out-of-range", text, (window, "window"))
            return None
        if not window.powered and window.present:
            text = f"the device at port {window.base:#x} is turned off: a load gives all ones, a store is lost"
            self._report("mmio-after-disable", text, (window, "off"))
        problem = window.problem(port - window.base, width, write=write)
        if problem is not None:
            self._report(problem.kind, problem.text, (window, problem))
        return window

    def _report(self, kind: str, text: str, key: object) -> None:
        k = self.kernel
        k.report(kind, f"BUG: kmock: {kind} in {k.symbol(k.capture())}", lines=[text], key=key)
