"""What :class:`~kmock.mm.access.Memory` becomes while streaming mappings live: accesses to their pages are looked at.

A machine without such mappings has the plain class, and pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.lang.ptr import Ptr
from kmock.mm.access import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.sanitizers.object import Allocation

_int = int.__int__


class WatchedMemory(Memory):
    """Memory of which some pages are mapped for devices."""

    __slots__ = ()
    watched = True

    def _mapped(self, p: int, offset: int, n: int) -> bool:
        """Whether one of the pages of ``[p + offset, p + offset + n)`` is mapped for a device."""
        frames = self.kernel.dma.ownership.frames
        address = _int(p) + offset
        phys = address - self.page_offset
        if 0 <= phys < self.size and (phys & 0xFFF) + n <= 0x1000:
            return phys >> 12 in frames
        for at in (address, *range((address | 0xFFF) + 1, address + n, 0x1000)):
            found = self.translate(at)
            if found is not None and found >> 12 in frames:
                return True
        return False

    @staticmethod
    def _linear(p: int, offset: int, n: int) -> int:
        """The physical address of an access that is known to be inside a living allocation in one piece, or -1."""
        origin: Allocation | None = p.origin if p.__class__ is Ptr else None
        if origin is None or not origin.live or origin.phys < 0:
            return -1
        start = _int(p) - origin.addr + offset
        return origin.phys + start if start >= 0 and start + n <= origin.size else -1

    def load(self, p: int, offset: int, n: int) -> bytes:
        """``Memory.load()``, the long way for pages that are mapped."""
        if self._mapped(p, offset, n):
            at = self._linear(p, offset, n)
            if at >= 0 and not self.check_loads:
                self.kernel.dma.ownership.accessed(at, n, write=False)
                return self.bytes[at : at + n].tobytes()
            return b"".join(self.bytes[at : at + m] for at, m in self.access(p, offset, n, write=False))
        return super().load(p, offset, n)

    def store(self, p: int, offset: int, data: bytes | bytearray | memoryview) -> None:
        """``Memory.store()``, past its shortcut for pages that are mapped."""
        if not self._mapped(p, offset, len(data)):
            super().store(p, offset, data)
        elif (at := self._linear(p, offset, len(data))) >= 0:
            self.kernel.dma.ownership.accessed(at, len(data), write=True)
            super().store(p, offset, data)
        else:
            self.store_pieces(p, offset, data)

    def copy(self, to: int, source: int, n: int) -> None:
        """``Memory.copy()``: through a load and a store for pages that are mapped."""
        if self._mapped(to, 0, n) or self._mapped(source, 0, n):
            self.copy_slowly(to, source, n)
        else:
            super().copy(to, source, n)

    def access(self, p: int, offset: int, n: int, *, write: bool, by: str = "") -> Iterator[tuple[int, int]]:
        """``Memory.access()``, and whose turn it is."""
        ownership = self.kernel.dma.ownership
        for at, m in super().access(p, offset, n, write=write, by=by):
            ownership.accessed(at, m, write=write)
            yield at, m

    def forget_origins(self, phys: int, n: int) -> None:
        """``Memory.forget_origins()``: the memory is being freed."""
        self.kernel.dma.ownership.freed(phys, n)
        super().forget_origins(phys, n)


def watched(plain: type[Memory]) -> type[Memory]:
    """Return the class that memory of class ``plain`` becomes."""
    if plain is Memory:
        return WatchedMemory
    return type(f"Watched{plain.__name__}", (plain, WatchedMemory), {"__slots__": ()})
