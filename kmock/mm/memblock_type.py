"""``struct memblock_type``: regions of physical memory, sorted and disjoint (``mm/memblock.c``).

Addresses and sizes are bytes. A search is a bisection, and a change touches only the regions that it meets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from errno import ENOMEM
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PHYS_ADDR_MAX: Final = (1 << 64) - 1
MAX_NUMNODES: Final = 1 << 10
"""As a region's node: none was set yet."""
INIT_MEMBLOCK_REGIONS: Final = 128
REGION_SIZE: Final = 24
"""``sizeof(struct memblock_region)``."""


class memblock_region:
    """A range of memory that is alike: ``base``, ``size``, ``flags`` and the node it belongs to."""

    __slots__ = ("base", "flags", "nid", "size")

    def __init__(self, base: int, size: int, nid: int = MAX_NUMNODES, flags: int = 0) -> None:
        self.base = base
        self.size = size
        self.nid = nid
        self.flags = flags

    @property
    def end(self) -> int:
        """Address behind its last byte."""
        return self.base + self.size

    def __repr__(self) -> str:
        return f"<memblock_region {self.base:#x}-{self.end:#x} nid={self.nid} flags={self.flags:#x}>"


class memblock_type:
    """One table of regions: all memory, or what of it is reserved."""

    __slots__ = ("_bases", "_rows", "grow", "max", "name", "total_size")

    def __init__(self, name: str, rows: list[memblock_region] | None = None) -> None:
        self.name = name
        self.max = INIT_MEMBLOCK_REGIONS
        self.grow: Callable[[memblock_type, int, int], bool] | None = None
        """``memblock_double_array()``, once the table may grow: makes room, or says that it can't."""
        self._rows = rows or []
        self._bases = [row.base for row in self._rows]
        self.total_size = sum(row.size for row in self._rows)

    def copy(self) -> memblock_type:
        """Return a table of its own with the same regions."""
        return memblock_type(self.name, [memblock_region(r.base, r.size, r.nid, r.flags) for r in self._rows])

    # -- looking --------------------------------------------------------------------------------

    @property
    def regions(self) -> list[memblock_region]:
        """The regions, lowest first. A table that is empty has one of size 0, as in the kernel."""
        return list(self._rows) or [memblock_region(0, 0)]

    @property
    def cnt(self) -> int:
        """How many regions there are, never less than 1."""
        return len(self._rows) or 1

    def __iter__(self) -> Iterator[memblock_region]:
        return iter(self._rows)

    def __reversed__(self) -> Iterator[memblock_region]:
        return reversed(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> memblock_region:
        return self._rows[index]

    def search(self, address: int) -> memblock_region | None:
        """``memblock_search()``: return the region that has the byte at ``address``."""
        at = bisect_right(self._bases, address) - 1
        return self._rows[at] if at >= 0 and address < self._rows[at].end else None

    def first_above(self, address: int) -> int:
        """Return the index of the first region that ends above ``address``."""
        at = bisect_right(self._bases, address)
        return at - 1 if at and self._rows[at - 1].end > address else at

    def overlaps(self, base: int, size: int) -> bool:
        """``memblock_overlaps_region()``: whether any region has a byte of the range."""
        end = base + cap_size(base, size)
        at = self.first_above(base)
        return at < len(self._rows) and self._rows[at].base < end

    # -- changing -------------------------------------------------------------------------------

    def add(self, base: int, size: int, nid: int = MAX_NUMNODES, flags: int = 0) -> int:
        """``memblock_add_range()``: add what of the range is in no region yet; 0, or -ENOMEM if the table is full."""
        end = base + cap_size(base, size)
        if base >= end:
            return 0
        gaps = self._gaps(base, end)
        if not gaps:
            return 0
        if self._rows and not self._has_room(len(gaps), base, end - base):
            return -ENOMEM
        for start, stop in self._gaps(base, end):
            self._insert(memblock_region(start, stop - start, nid, flags))
        self.merge(base, end)
        return 0

    def _gaps(self, base: int, end: int) -> list[tuple[int, int]]:
        found = []
        at = self.first_above(base)
        while at < len(self._rows) and (row := self._rows[at]).base < end:
            if row.base > base:
                found.append((base, row.base))
            base = min(row.end, end)
            at += 1
        return [*found, (base, end)] if base < end else found

    def _has_room(self, more: int, base: int, size: int) -> bool:
        while self.cnt + more > self.max:
            if self.grow is None or not self.grow(self, base, size):
                return False
        return True

    def _insert(self, row: memblock_region) -> None:
        at = bisect_left(self._bases, row.base)
        self._rows.insert(at, row)
        self._bases.insert(at, row.base)
        self.total_size += row.size

    def merge(self, base: int, end: int) -> None:
        """``memblock_merge_regions()`` around [base, end): join neighbours that are alike."""
        at = max(bisect_left(self._bases, base) - 1, 0)
        rows = self._rows
        while at + 1 < len(rows) and rows[at].base <= end:
            this, following = rows[at], rows[at + 1]
            if this.end == following.base and (this.nid, this.flags) == (following.nid, following.flags):
                this.size += following.size
                del rows[at + 1], self._bases[at + 1]
            else:
                at += 1

    def isolate(self, base: int, size: int) -> range | None:
        """``memblock_isolate_range()``: split regions at both ends; return the indices of those inside.

        None if the table has no room for the pieces.
        """
        end = base + cap_size(base, size)
        if base >= end:
            return range(0)
        if not self._has_room(2, base, end - base):
            return None
        self._split(base)
        self._split(end)
        return range(bisect_left(self._bases, base), bisect_left(self._bases, end))

    def _split(self, address: int) -> None:
        row = self.search(address)
        if row is not None and row.base < address:
            upper = memblock_region(address, row.end - address, row.nid, row.flags)
            row.size -= upper.size
            self.total_size -= upper.size
            self._insert(upper)

    def remove(self, base: int, size: int) -> int:
        """``memblock_remove_range()``: take the range out, wherever it is; 0, or -ENOMEM if the table is full."""
        inside = self.isolate(base, size)
        if inside is None:
            return -ENOMEM
        self.delete(inside)
        return 0

    def delete(self, indices: range) -> None:
        """Take out whole regions by their indices."""
        self.total_size -= sum(row.size for row in self._rows[indices.start : indices.stop])
        del self._rows[indices.start : indices.stop], self._bases[indices.start : indices.stop]

    def trim(self, index: int, base: int, end: int) -> None:
        """Move the bounds of one region inwards; ``total_size`` stays as it was, as in the kernel."""
        row = self._rows[index]
        row.base, row.size = base, end - base
        self._bases[index] = base


def cap_size(base: int, size: int) -> int:
    """``memblock_cap_size()``: ``size``, or less where ``base + size`` would wrap."""
    return min(size & PHYS_ADDR_MAX, PHYS_ADDR_MAX - base)
