"""Numbers that a device wrote to coherent memory: its word, which a driver has to check before it goes by it.

A load of one gives a :class:`~kmock.lang.device_value.DeviceValue`; an access that leaves its object because of it is then
told as that. Memory is looked at from the first time on that a device writes to coherent memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.lang.device_value import derived
from kmock.sanitizers.pfnmaps import COHERENT_ALLOC
from kmock.stack import driver_frame

if TYPE_CHECKING:
    from types import CodeType

    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel


class Hearsay:
    """What devices wrote to coherent memory of one machine."""

    __slots__ = ("_bytes", "_changed", "_loads", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._bytes: set[int] = set()
        """Physical addresses that a device has written to."""
        self._loads: dict[int, tuple[CodeType, int, int]] = {}
        """What was loaded from an address last: by which function, in which activation, and what it was."""
        self._changed: set[int] = set()
        """Addresses from which one activation of a function has loaded two values."""

    def deposited(self, phys: int, n: int) -> None:
        """A device wrote ``[phys, phys + n)``."""
        self._bytes.update(range(phys, phys + n))
        self.kernel.mem.told = self.loaded

    def loaded(self, p: Ptr, offset: int, value: int) -> int:
        """The driver loaded ``value`` at ``p + offset``: return it as what it is."""
        about = getattr(p, "origin", None)
        if about is None or getattr(about, "call", "") != COHERENT_ALLOC:
            return value
        phys = about.phys + int(p) - about.addr + offset
        if phys not in self._bytes:
            return value
        frame = driver_frame()
        if frame is not None:
            here = frame.f_code, id(frame)
            before = self._loads.get(phys)
            if before is not None and before[:2] == here and before[2] != value:
                self._changed.add(phys)
            else:
                self._changed.discard(phys)
            self._loads[phys] = (*here, value)
        return derived(value, phys)

    def kind(self, source: int) -> str:
        """The kind of report for going by the number at ``source``; empty where that is no address in memory."""
        if source not in self._bytes:
            return ""
        return "dma-double-fetch" if source in self._changed else "dma-device-value-trusted"
