"""The buddy allocator of one zone: free blocks of 2^order pages, by order and migrate type (``mm/page_alloc.c``).

A zone that nobody touched yet is a few ranges of page frames. Blocks of the largest order are split off
them when the lists run dry, so a zone costs nothing in its size.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_ORDER: Final = 11
"""Orders are 0 to ``MAX_ORDER - 1``."""
TOP: Final = MAX_ORDER - 1
MAX_ORDER_NR_PAGES: Final = 1 << TOP
PAGEBLOCK_ORDER: Final = TOP
PAGEBLOCK_NR_PAGES: Final = 1 << PAGEBLOCK_ORDER

MIGRATE_UNMOVABLE: Final = 0
MIGRATE_MOVABLE: Final = 1
MIGRATE_RECLAIMABLE: Final = 2
MIGRATE_PCPTYPES: Final = 3
MIGRATE_HIGHATOMIC: Final = 3
MIGRATE_TYPES: Final = 4
MIGRATE_NAMES: Final = ("Unmovable", "Movable", "Reclaimable", "HighAtomic")

PB_MIGRATE_SKIP: Final = 3
"""Number of the pageblock flag above the migrate type's."""

_FALLBACKS: Final = (
    (MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE),
    (MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE),
    (MIGRATE_UNMOVABLE, MIGRATE_MOVABLE),
)


class Buddy:
    """Free blocks of one zone.

    A free list is an ordered dict of page frame numbers; its last entry is the head, which is taken first.
    """

    __slots__ = ("_free", "_pristine", "_skip", "_types", "blocks", "managed", "nr_free", "span")

    def __init__(self, managed: Sequence[tuple[int, int]], span: tuple[int, int]) -> None:
        self.managed = tuple(managed)
        """Page frames that belong to the allocator, [start, end) each, lowest first."""
        self.span = span
        self.blocks: dict[int, int] = {}
        """First page frame of every free block on a list: ``order * MIGRATE_TYPES + type``."""
        self.nr_free = [0] * MAX_ORDER
        """Free blocks on lists by order, without those that were never touched."""
        self._free: list[OrderedDict[int, None]] | None = None
        self._types: dict[int, int] = {}
        self._skip: set[int] = set()
        self._pristine: list[tuple[int, int]] = []

    # -- state ----------------------------------------------------------------------------------

    @property
    def free(self) -> list[OrderedDict[int, None]]:
        """The free lists, by ``order * MIGRATE_TYPES + type``."""
        return self._free if self._free is not None else self._open()

    def _open(self) -> list[OrderedDict[int, None]]:
        # As memblock hands memory over: the largest aligned blocks that fit, upwards, each to its list's tail.
        self._free = [OrderedDict() for _ in range(MAX_ORDER * MIGRATE_TYPES)]
        for start, end in self.managed:
            self._take_in(start, end)
        return self._free

    def _take_in(self, start: int, end: int) -> None:
        low = -(-start // MAX_ORDER_NR_PAGES) * MAX_ORDER_NR_PAGES
        high = end // MAX_ORDER_NR_PAGES * MAX_ORDER_NR_PAGES
        if low < high:
            self._pristine.insert(0, (low, high))
            self._add_range(start, low)
            self._add_range(high, end)
        else:
            self._add_range(start, end)

    def grow(self, start: int, end: int) -> None:
        """Take in free page frames that were no part of the zone."""
        self.managed = (*self.managed, (start, end))
        self.span = min(self.span[0], start), max(self.span[1], end)
        if self._free is not None:
            self._take_in(start, end)

    def _add_range(self, start: int, end: int) -> None:
        while start < end:
            order = min((start & -start).bit_length() - 1 if start else TOP, (end - start).bit_length() - 1, TOP)
            self._add(start, order, MIGRATE_MOVABLE, tail=True)
            start += 1 << order

    @property
    def pristine_blocks(self) -> int:
        """Blocks of the largest order that nobody touched yet."""
        return sum(b - a for a, b in self._pristine) // MAX_ORDER_NR_PAGES if self.free else 0

    @property
    def free_area(self) -> list[int]:
        """Free blocks by order, as ``/proc/buddyinfo`` shows them."""
        extra = self.pristine_blocks
        return [*self.nr_free[:TOP], self.nr_free[TOP] + extra]

    @property
    def buddy_pages(self) -> int:
        """Pages in free blocks."""
        return sum(n << order for order, n in enumerate(self.free_area))

    def free_by_type(self, migratetype: int) -> list[int]:
        """Return the free blocks of one migrate type by order, as ``/proc/pagetypeinfo`` shows them."""
        free = self.free
        counts = [len(free[order * MIGRATE_TYPES + migratetype]) for order in range(MAX_ORDER)]
        if migratetype == MIGRATE_MOVABLE:
            counts[TOP] += self.pristine_blocks
        return counts

    def free_blocks(self) -> Iterator[tuple[int, int]]:
        """Yield (first page frame, order) of every free block, those never touched too."""
        for a, b in self._pristine if self.free else ():
            for pfn in range(a, b, MAX_ORDER_NR_PAGES):
                yield pfn, TOP
        for pfn, place in self.blocks.items():
            yield pfn, place // MIGRATE_TYPES

    def is_managed(self, pfn: int) -> bool:
        """Whether the page frame belongs to the allocator, and not to what boot reserved."""
        return any(a <= pfn < b for a, b in self.managed)

    def pageblock_type(self, pfn: int) -> int:
        """``get_pageblock_migratetype()``."""
        return self._types.get(pfn >> PAGEBLOCK_ORDER, MIGRATE_MOVABLE)

    def set_pageblock_type(self, pfn: int, migratetype: int) -> None:
        """``set_pageblock_migratetype()``."""
        self._types[pfn >> PAGEBLOCK_ORDER] = migratetype

    def pageblock_flags(self, pfn: int) -> int:
        """``__get_pfnblock_flags_mask()``: the migrate type, and above it whether compaction passes the block by."""
        return self.pageblock_type(pfn) | (pfn >> PAGEBLOCK_ORDER in self._skip) << PB_MIGRATE_SKIP

    def set_pageblock_flags(self, pfn: int, flags: int) -> None:
        """Set all of a pageblock's flags."""
        self.set_pageblock_type(pfn, flags % MIGRATE_TYPES)
        (self._skip.add if flags >> PB_MIGRATE_SKIP & 1 else self._skip.discard)(pfn >> PAGEBLOCK_ORDER)

    # -- lists ----------------------------------------------------------------------------------

    def _add(self, pfn: int, order: int, migratetype: int, *, tail: bool = False) -> None:
        place = order * MIGRATE_TYPES + migratetype
        lst = self.free[place]
        if pfn in self.blocks:
            # Freed twice, which has been reported; the kernel's lists would be corrupt now.
            self._remove(pfn)
        lst[pfn] = None
        if tail:
            lst.move_to_end(pfn, last=False)
        self.blocks[pfn] = place
        self.nr_free[order] += 1

    def _remove(self, pfn: int) -> int:
        place = self.blocks.pop(pfn)
        del self.free[place][pfn]
        order = place // MIGRATE_TYPES
        self.nr_free[order] -= 1
        return order

    def first_free(self, order: int, migratetype: int) -> int:
        """Return the block of that order and type that would be taken first, -1 if there is none."""
        lst = self.free[order * MIGRATE_TYPES + migratetype]
        if lst:
            return next(reversed(lst))
        if order == TOP and migratetype == MIGRATE_MOVABLE and self._pristine:
            return self._touch()
        return -1

    def _touch(self) -> int:
        start, end = self._pristine.pop()
        if start + MAX_ORDER_NR_PAGES < end:
            self._pristine.append((start + MAX_ORDER_NR_PAGES, end))
        self._add(start, TOP, MIGRATE_MOVABLE)
        return start

    def has_free(self, order: int, migratetype: int) -> bool:
        """Whether a block of exactly that order and type is free."""
        if self.free[order * MIGRATE_TYPES + migratetype]:
            return True
        return order == TOP and migratetype == MIGRATE_MOVABLE and bool(self._pristine)

    # -- allocation -----------------------------------------------------------------------------

    def smallest(self, order: int, migratetype: int) -> int:
        """``__rmqueue_smallest()``: take from the smallest block that is large enough; -1 if none is."""
        for current in range(order, MAX_ORDER):
            pfn = self.first_free(current, migratetype)
            if pfn < 0:
                continue
            self._remove(pfn)
            while current > order:
                current -= 1
                self._add(pfn + (1 << current), current, migratetype)
            return pfn
        return -1

    def rmqueue(self, order: int, migratetype: int, *, nofragment: bool = False) -> int:
        """``__rmqueue()``: take a block, from another migrate type's if need be; -1 if there is none.

        With ``nofragment`` another type gives whole pageblocks only.
        """
        pfn = self.smallest(order, migratetype)
        while pfn < 0 and self._fall_back(order, migratetype, nofragment=nofragment):
            pfn = self.smallest(order, migratetype)
        return pfn

    def _fall_back(self, order: int, migratetype: int, *, nofragment: bool) -> bool:
        least = PAGEBLOCK_ORDER if nofragment and order < PAGEBLOCK_ORDER else order
        for current in range(TOP, least - 1, -1):
            other = self._fallback_type(current, migratetype)
            if other < 0:
                continue
            whole = current >= PAGEBLOCK_ORDER // 2 or migratetype != MIGRATE_MOVABLE
            if not whole and current > order:
                # Movable pages do least harm in the smallest block.
                current, other = next(
                    (o, t) for o in range(order, MAX_ORDER) if (t := self._fallback_type(o, migratetype)) >= 0
                )
            self._steal(self.first_free(current, other), current, migratetype, whole=whole)
            return True
        return False

    def _fallback_type(self, order: int, migratetype: int) -> int:
        return next((other for other in _FALLBACKS[migratetype] if self.has_free(order, other)), -1)

    def _steal(self, pfn: int, order: int, migratetype: int, *, whole: bool) -> None:
        """``steal_suitable_fallback()``: move a free block, or all free pages around it, to another type."""
        old = self.pageblock_type(pfn)
        if old == MIGRATE_HIGHATOMIC:
            self._move(pfn, migratetype)
            return
        if order >= PAGEBLOCK_ORDER:
            self.set_pageblock_type(pfn, migratetype)
            self._move(pfn, migratetype)
            return
        moved = self.move_pageblock(pfn, migratetype) if whole else 0
        if not moved:
            self._move(pfn, migratetype)
            return
        # Movable pages in use can't be told apart here, so all that is in use counts as alike.
        alike = PAGEBLOCK_NR_PAGES - moved if old == MIGRATE_MOVABLE and migratetype != MIGRATE_MOVABLE else 0
        if moved + alike >= PAGEBLOCK_NR_PAGES // 2:
            self.set_pageblock_type(pfn, migratetype)

    def _move(self, pfn: int, migratetype: int) -> None:
        self._add(pfn, self._remove(pfn), migratetype, tail=True)

    def move_pageblock(self, pfn: int, migratetype: int) -> int:
        """``move_freepages_block()``: move the free pages around ``pfn`` to another type; return how many."""
        start = pfn & -PAGEBLOCK_NR_PAGES
        end = start + PAGEBLOCK_NR_PAGES
        low, high = self.span
        if end > high:
            return 0
        at = start if start >= low else pfn
        moved = 0
        while at < end:
            place = self.blocks.get(at)
            if place is None:
                at += 1
                continue
            self._move(at, migratetype)
            n = 1 << place // MIGRATE_TYPES
            at += n
            moved += n
        return moved

    # -- freeing --------------------------------------------------------------------------------

    def free_one(self, pfn: int, order: int, migratetype: int, *, tail: bool = False) -> None:
        """``__free_one_page()``: put a block back, merged with its free buddies."""
        blocks = self.blocks
        while order < TOP:
            place = blocks.get(pfn ^ 1 << order)
            if place is None or place // MIGRATE_TYPES != order:
                break
            self._remove(pfn ^ 1 << order)
            pfn &= ~(1 << order)
            order += 1
        if not tail and order < MAX_ORDER - 2:
            # The pair above would merge next: keep this half for last.
            place = blocks.get(pfn & ~(1 << order) ^ 2 << order)
            tail = place is not None and place // MIGRATE_TYPES == order + 1
        self._add(pfn, order, migratetype, tail=tail)
