"""The allocator of early boot (``mm/memblock.c``): what is memory, what of it is reserved, and room for more.

Physical addresses throughout; nothing here looks at memory itself. What a driver's calls return and what
becomes of them once the page allocator is up is :mod:`kmock.mm.boot_memory`'s.
"""

from __future__ import annotations

from errno import ENOMEM
from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.memblock_type import MAX_NUMNODES, PHYS_ADDR_MAX, REGION_SIZE, cap_size, memblock_region, memblock_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NUMA_NO_NODE: Final = -1
SMP_CACHE_BYTES: Final = 64

MEMBLOCK_NONE: Final = 0
MEMBLOCK_HOTPLUG: Final = 1
MEMBLOCK_MIRROR: Final = 2
MEMBLOCK_NOMAP: Final = 4
MEMBLOCK_DRIVER_MANAGED: Final = 8

MEMBLOCK_ALLOC_ANYWHERE: Final = PHYS_ADDR_MAX
MEMBLOCK_ALLOC_ACCESSIBLE: Final = 0
MEMBLOCK_ALLOC_NOLEAKTRACE: Final = 1


class FreeRange(NamedTuple):
    """Bytes [start, end) that are memory of a node."""

    start: int
    end: int
    nid: int


def clamp(value: int, low: int, high: int) -> int:
    """Return ``value``, or the bound that it is beyond."""
    return min(max(value, low), high)


class Memblock:
    """``struct memblock``, and what is done with it."""

    __slots__ = (
        "bottom_up",
        "current_limit",
        "log",
        "memory",
        "mirrored_kernelcore",
        "movable_node",
        "reserved",
        "some_mirror",
    )

    def __init__(self, log: Callable[[str], None] = lambda _line: None) -> None:
        self.memory = memblock_type("memory")
        self.reserved = memblock_type("reserved")
        self.bottom_up = False
        """Whether allocations begin at the lowest address instead of the highest."""
        self.current_limit = MEMBLOCK_ALLOC_ANYWHERE
        self.movable_node = False
        """``movable_node`` on the command line: hotpluggable memory is not allocated from."""
        self.mirrored_kernelcore = False
        """``kernelcore=mirror``: marks of mirrored memory count."""
        self.some_mirror = False
        self.log = log
        """Where messages go."""

    def copy(self) -> Memblock:
        """Return one of its own with the same regions."""
        other = Memblock(self.log)
        other.memory = self.memory.copy()
        other.reserved = self.reserved.copy()
        other.bottom_up = self.bottom_up
        other.current_limit = self.current_limit
        return other

    # -- regions --------------------------------------------------------------------------------

    def allow_resize(self) -> None:
        """``memblock_allow_resize()``: full tables move to larger ones, which are allocated here too."""
        self.memory.grow = self.reserved.grow = self._double_array

    def _double_array(self, table: memblock_type, base: int, size: int) -> bool:
        new_size = table.max * 2 * REGION_SIZE
        room = -(-new_size // PAGE_SIZE) * PAGE_SIZE
        # What is about to be reserved must not be taken for the table of reservations itself.
        above = base + size if table is self.reserved else 0
        flags = self._first_choice()
        at = self.find(room, PAGE_SIZE, above, self.current_limit, NUMA_NO_NODE, flags)
        if not at and above:
            at = self.find(room, PAGE_SIZE, 0, min(base, self.current_limit), NUMA_NO_NODE, flags)
        if not at:
            self.log(f"memblock: Failed to double {table.name} array from {table.max} to {table.max * 2} entries !")
            return False
        table.max *= 2
        self.reserved.add(at, room)
        return True

    def set_flag(self, base: int, size: int, flag: int, *, on: bool) -> int:
        """``memblock_setclr_flag()``: set or clear a flag of memory; 0, or -ENOMEM if the table is full."""
        inside = self.memory.isolate(base, size)
        if inside is None:
            return -ENOMEM
        for i in inside:
            row = self.memory[i]
            row.flags = row.flags | flag if on else row.flags & ~flag
        self.memory.merge(base, base + cap_size(base, size))
        return 0

    def mark_mirror(self, base: int, size: int) -> int:
        """``memblock_mark_mirror()``: counts only with ``kernelcore=mirror``."""
        if not self.mirrored_kernelcore:
            return 0
        self.some_mirror = True
        return self.set_flag(base, size, MEMBLOCK_MIRROR, on=True)

    def set_node(self, base: int, size: int, table: memblock_type, nid: int) -> int:
        """``memblock_set_node()``: say which node the range belongs to; 0, or -ENOMEM if the table is full."""
        inside = table.isolate(base, size)
        if inside is None:
            return -ENOMEM
        for i in inside:
            table[i].nid = nid
        table.merge(base, base + cap_size(base, size))
        return 0

    def trim(self, align: int) -> None:
        """``memblock_trim_memory()``: round every region of memory inwards."""
        memory = self.memory
        for i in reversed(range(len(memory))):
            row = memory[i]
            start, end = -(-row.base // align) * align, row.end // align * align
            if start >= end:
                memory.delete(range(i, i + 1))
            elif (start, end) != (row.base, row.end):
                memory.trim(i, start, end)

    # -- limits ---------------------------------------------------------------------------------

    def address_of(self, limit: int) -> int:
        """``__find_max_addr()``: return where the first ``limit`` bytes of memory end; PHYS_ADDR_MAX beyond all."""
        for row in self.memory:
            if limit <= row.size:
                return row.base + limit
            limit -= row.size
        return PHYS_ADDR_MAX

    def enforce_limit(self, limit: int) -> None:
        """``memblock_enforce_memory_limit()``: forget all memory after the first ``limit`` bytes."""
        end = self.address_of(limit)
        if limit and end != PHYS_ADDR_MAX:
            self.memory.remove(end, PHYS_ADDR_MAX)
            self.reserved.remove(end, PHYS_ADDR_MAX)

    def cap(self, base: int, size: int) -> None:
        """``memblock_cap_memory_range()``: forget all memory outside of the range, but what is not mapped."""
        if not size:
            return
        if not self.memory.total_size:
            self.log("memblock_cap_memory_range: No memory registered yet")
            return
        inside = self.memory.isolate(base, size)
        if inside is None:
            return
        for i in reversed(range(len(self.memory))):
            if i not in inside and not self.memory[i].flags & MEMBLOCK_NOMAP:
                self.memory.delete(range(i, i + 1))
        self.reserved.remove(0, base)
        self.reserved.remove(base + size, PHYS_ADDR_MAX)

    # -- walking --------------------------------------------------------------------------------

    def wanted(self, row: memblock_region, nid: int, flags: int) -> bool:
        """Whether a walk of memory for ``nid`` and ``flags`` comes by the region (``should_skip_region()``)."""
        if nid not in (NUMA_NO_NODE, row.nid):
            return False
        if self.movable_node and row.flags & MEMBLOCK_HOTPLUG and not flags & MEMBLOCK_HOTPLUG:
            return False
        if flags & MEMBLOCK_MIRROR and not row.flags & MEMBLOCK_MIRROR:
            return False
        return not row.flags & ~flags & (MEMBLOCK_NOMAP | MEMBLOCK_DRIVER_MANAGED)

    def free_ranges(self, nid: int = NUMA_NO_NODE, flags: int = MEMBLOCK_NONE) -> Iterator[FreeRange]:
        """``for_each_free_mem_range()``: memory that is not reserved, upwards."""
        reserved = self.reserved
        for row in self.memory:
            if not self.wanted(row, nid, flags):
                continue
            start = row.base
            at = reserved.first_above(start)
            while at < len(reserved) and reserved[at].base < row.end:
                if start < reserved[at].base:
                    yield FreeRange(start, reserved[at].base, row.nid)
                start = reserved[at].end
                at += 1
            if start < row.end:
                yield FreeRange(start, row.end, row.nid)

    def free_ranges_down(self, nid: int = NUMA_NO_NODE, flags: int = MEMBLOCK_NONE) -> Iterator[FreeRange]:
        """``for_each_free_mem_range_reverse()``: memory that is not reserved, downwards."""
        reserved = self.reserved
        for row in reversed(self.memory):
            if not self.wanted(row, nid, flags):
                continue
            end = row.end
            at = reserved.first_above(end - 1)
            if at == len(reserved) or reserved[at].base >= end:
                at -= 1
            while at >= 0 and reserved[at].end > row.base:
                if reserved[at].end < end:
                    yield FreeRange(reserved[at].end, end, row.nid)
                end = reserved[at].base
                at -= 1
            if row.base < end:
                yield FreeRange(row.base, end, row.nid)

    def pfn_ranges(self, nid: int = MAX_NUMNODES) -> Iterator[FreeRange]:
        """``for_each_mem_pfn_range()``: whole page frames of memory; MAX_NUMNODES stands for all nodes."""
        for row in self.memory:
            start, end = -(-row.base >> PAGE_SHIFT), row.end >> PAGE_SHIFT
            if start < end and nid in (MAX_NUMNODES, row.nid):
                yield FreeRange(start, end, row.nid)

    # -- allocation -----------------------------------------------------------------------------

    def _first_choice(self) -> int:
        return MEMBLOCK_MIRROR if self.some_mirror else MEMBLOCK_NONE

    def find(self, size: int, align: int, start: int, end: int, nid: int, flags: int) -> int:
        """``memblock_find_in_range_node()``: return where a free range fits, 0 for nowhere. Never page 0."""
        if end in (MEMBLOCK_ALLOC_ACCESSIBLE, MEMBLOCK_ALLOC_NOLEAKTRACE):
            end = self.current_limit
        start = max(start, PAGE_SIZE)
        end = max(start, end)
        ranges: Iterable[FreeRange]
        ranges = self.free_ranges(nid, flags) if self.bottom_up else self.free_ranges_down(nid, flags)
        for free in ranges:
            low, high = clamp(free.start, start, end), clamp(free.end, start, end)
            if high < size:
                continue
            # An alignment that is no power of two is used as a mask all the same (round_up(), round_down()).
            at = (low - 1 | align - 1) + 1 if self.bottom_up else high - size & ~(align - 1)
            if low <= at and at + size <= high and (at < high or not self.bottom_up):
                return at
        return 0

    def alloc(self, size: int, align: int, start: int, end: int, nid: int, *, exact: bool = False) -> int:
        """``memblock_alloc_range_nid()``: reserve ``size`` bytes in [start, end) and return where; 0 if none fit.

        Memory of another node will do unless ``exact``; memory that is not mirrored will if there is no other.
        """
        flags = self._first_choice()
        nodes = [nid] if exact or nid == NUMA_NO_NODE else [nid, NUMA_NO_NODE]
        while True:
            for node in nodes:
                found = self.find(size, align, start, end, node, flags)
                if found and not self.reserved.add(found, size):
                    return found
            if not flags & MEMBLOCK_MIRROR:
                return 0
            flags &= ~MEMBLOCK_MIRROR
            self.log(f"Could not allocate 0x{size:016x} bytes of mirrored memory")

    # -- telling --------------------------------------------------------------------------------

    def dump(self) -> Iterator[str]:
        """``__memblock_dump_all()``: both tables, as ``memblock=debug`` shows them."""
        yield "MEMBLOCK configuration:"
        sizes = self.memory.total_size, self.reserved.total_size
        yield " memory size = 0x{:016x} reserved size = 0x{:016x}".format(*sizes)
        for table in (self.memory, self.reserved):
            yield f" {table.name}.cnt  = 0x{table.cnt:x}"
            for i, row in enumerate(table.regions):
                node = f" on node {row.nid}" if row.nid != MAX_NUMNODES else ""
                # printf()'s %#x leaves a zero without its 0x.
                number, flags = (f"{value:#x}" if value else "0" for value in (i, row.flags))
                span = f"[0x{row.base:016x}-0x{row.end - 1 & PHYS_ADDR_MAX:016x}], 0x{row.size:016x} bytes"
                yield f" {table.name}[{number}]\t{span}{node} flags: {flags}"
