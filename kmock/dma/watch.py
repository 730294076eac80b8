"""What :class:`~kmock.mm.access.Memory` becomes while streaming mappings live: accesses to their pages are looked at.

A machine without such mappings has the plain class, and pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.mm.access import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

_int = int.__int__


class WatchedMemory(Memory):
    """Memory of which some pages are mapped for devices."""

    __slots__ = ()
    watched = True

    def _mapped(self, p: int, offset: int, n: int) -> bool:
        """Whether one of the pages of ``[p + offset, p + offset + n)`` is mapped for a device."""
        frames = self.kernel.dma.ownership.frames
        address = _int(p) + offset
        for at in (address, *range((address | 0xFFF) + 1, address + n, 0x1000)):
            phys = self.translate(at)
            if phys is not None and phys >> 12 in frames:
                return True
        return False

    def load(self, p: int, offset: int, n: int) -> bytes:
        """``Memory.load()``, the long way for pages that are mapped."""
        if self._mapped(p, offset, n):
            return b"".join(self.bytes[at : at + m] for at, m in self.access(p, offset, n, write=False))
        return super().load(p, offset, n)

    def store(self, p: int, offset: int, data: bytes | bytearray | memoryview) -> None:
        """``Memory.store()``, past its shortcut for pages that are mapped."""
        if self._mapped(p, offset, len(data)):
            self.store_pieces(p, offset, data)
        else:
            super().store(p, offset, data)

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
