"""The free ranges of the vmalloc address space (``free_vmap_area_root`` of ``mm/vmalloc.c``).

A balanced tree by address in which every node knows the longest range below it, so that the lowest range that is
long enough is found in O(log n), however many areas there are. Balance comes from a priority that follows from
the address: the same calls give the same tree.
"""

from __future__ import annotations

from typing import Final

PAGE_SIZE: Final = 4096
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15


class _Gap:
    """One free range ``[start, end)`` and what lies below it in the tree."""

    __slots__ = ("end", "left", "order", "right", "room", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.order = ((start >> 12) * _SPREAD & (1 << 64) - 1) >> 24
        self.left: _Gap | None = None
        self.right: _Gap | None = None
        self.room = end - start
        """The longest range in this part of the tree."""


def _count(gap: _Gap) -> None:
    room = gap.end - gap.start
    if gap.left is not None and gap.left.room > room:
        room = gap.left.room
    if gap.right is not None and gap.right.room > room:
        room = gap.right.room
    gap.room = room


def _join(low: _Gap | None, high: _Gap | None) -> _Gap | None:
    """Make one tree of two, all of ``low`` being below all of ``high``."""
    if low is None or high is None:
        return low or high
    if low.order > high.order:
        low.right = _join(low.right, high)
        _count(low)
        return low
    high.left = _join(low, high.left)
    _count(high)
    return high


def _cut(gap: _Gap | None, at: int) -> tuple[_Gap | None, _Gap | None]:
    """Divide a tree into what starts below ``at`` and the rest."""
    if gap is None:
        return None, None
    if gap.start < at:
        gap.right, rest = _cut(gap.right, at)
        _count(gap)
        return gap, rest
    low, gap.left = _cut(gap.left, at)
    _count(gap)
    return low, gap


class FreeSpace:
    """What is free of ``[start, end)``."""

    __slots__ = ("_ends", "_root", "_starts", "end", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self._root: _Gap | None = None
        self._starts: dict[int, int] = {}
        """End of each free range by its start."""
        self._ends: dict[int, int] = {}
        self._add(start, end)

    # -- ranges -----------------------------------------------------------------------------------

    def ranges(self) -> list[tuple[int, int]]:
        """Return the free ranges, by address."""
        return sorted(self._starts.items())

    def _add(self, start: int, end: int) -> None:
        low, high = _cut(self._root, start)
        self._root = _join(_join(low, _Gap(start, end)), high)
        self._starts[start] = end
        self._ends[end] = start

    def _drop(self, start: int) -> None:
        low, high = _cut(self._root, start)
        _, high = _cut(high, start + 1)
        self._root = _join(low, high)
        del self._ends[self._starts.pop(start)]

    def below(self, address: int) -> tuple[int, int] | None:
        """Return the free range with the highest start below ``address``."""
        gap, found = self._root, None
        while gap is not None:
            if gap.start < address:
                found, gap = gap, gap.right
            else:
                gap = gap.left
        return (found.start, found.end) if found is not None else None

    # -- taking and giving back -------------------------------------------------------------------

    def take(self, size: int, align: int = PAGE_SIZE, start: int = 0, end: int = 0) -> int:
        """Take the lowest ``size`` bytes within ``[start, end)``; return their address, 0 if there are none.

        ``size`` is in whole pages, ``align`` a power of two; bounds of 0 mean those of the space.
        """
        low, high = max(start, self.start), min(end or self.end, self.end)
        # With this much room any alignment fits; where it is not to be had, the exact search may still find some.
        found = self._lowest(self._root, size + max(align - PAGE_SIZE, 0), size, align, low, high)
        if not found and align > PAGE_SIZE:
            found = self._lowest(self._root, size, size, align, low, high)
        if found:
            self.claim(found, size)
        return found

    def _lowest(self, gap: _Gap | None, room: int, size: int, align: int, low: int, high: int) -> int:
        if gap is None or gap.room < room:
            return 0
        if gap.start > low and (found := self._lowest(gap.left, room, size, align, low, high)):
            return found
        if gap.start >= high:
            return 0
        at = max(gap.start, low) + align - 1 & -align
        if at + size <= min(gap.end, high):
            return at
        return self._lowest(gap.right, room, size, align, low, high)

    def claim(self, address: int, size: int) -> bool:
        """Take exactly ``[address, address + size)``; False if that is not all free."""
        gap = self.below(address + 1)
        if gap is None or gap[1] < address + size:
            return False
        start, end = gap
        self._drop(start)
        if start < address:
            self._add(start, address)
        if address + size < end:
            self._add(address + size, end)
        return True

    def give(self, address: int, size: int) -> None:
        """Make ``[address, address + size)`` free again."""
        start, end = address, address + size
        if end in self._starts:
            above = self._starts[end]
            self._drop(end)
            end = above
        if start in self._ends:
            start = self._ends[start]
            self._drop(start)
        self._add(start, end)

    def congruent(self, offsets: list[int], sizes: list[int], align: int) -> int:
        """Return the highest base at which every ``[base + offset, + size)`` is free; 0 if there is none."""
        top = max(offset + size for offset, size in zip(offsets, sizes, strict=True))
        base = self.end - top & -align
        while base >= self.start:
            lower = self._lower_base(base, offsets, sizes)
            if lower is None:
                return base
            base = lower & -align
        return 0

    def _lower_base(self, base: int, offsets: list[int], sizes: list[int]) -> int | None:
        """Return a base that may do where ``base`` does not; None where it does."""
        for offset, size in zip(offsets, sizes, strict=True):
            gap = self.below(base + offset + size)
            if gap is None:
                return 0
            if gap[1] < base + offset + size:
                return gap[1] - size - offset
            if gap[0] > base + offset:
                return gap[0] - size - offset
        return None
