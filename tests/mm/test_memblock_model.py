"""memblock against a plain model: two sets of pages, and no idea of regions."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kmock.mm.memblock import MEMBLOCK_ALLOC_ANYWHERE, MEMBLOCK_HOTPLUG, MEMBLOCK_NOMAP, NUMA_NO_NODE, Memblock
from kmock.mm.memblock_type import MAX_NUMNODES

PAGE = 4096
END = 64
starts = st.integers(1, END - 1)
sizes = st.integers(1, 20)
orders = st.integers(0, 3)
nodes = st.sampled_from([NUMA_NO_NODE, 0, 1])


class MemblockMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.mb = Memblock()
        self.memory: dict[int, tuple[int, int]] = {}
        """By page: node and flags."""
        self.reserved: set[int] = set()

    def pages(self, start, size):
        return range(start, min(start + size, END))

    @rule(start=starts, size=sizes, nid=st.sampled_from([0, 1, MAX_NUMNODES]))
    def add(self, start, size, nid):
        pages = self.pages(start, size)
        assert self.mb.memory.add(start * PAGE, len(pages) * PAGE, nid) == 0
        for page in pages:
            self.memory.setdefault(page, (nid, 0))

    @rule(start=starts, size=sizes)
    def remove(self, start, size):
        assert self.mb.memory.remove(start * PAGE, size * PAGE) == 0
        for page in range(start, start + size):
            self.memory.pop(page, None)

    @rule(start=starts, size=sizes, nid=st.sampled_from([0, 1]))
    def set_node(self, start, size, nid):
        self.mb.set_node(start * PAGE, size * PAGE, self.mb.memory, nid)
        for page in self.memory.keys() & set(range(start, start + size)):
            self.memory[page] = nid, self.memory[page][1]

    @rule(start=starts, size=sizes, flag=st.sampled_from([MEMBLOCK_HOTPLUG, MEMBLOCK_NOMAP]), on=st.booleans())
    def flag(self, start, size, flag, on):
        self.mb.set_flag(start * PAGE, size * PAGE, flag, on=on)
        for page in self.memory.keys() & set(range(start, start + size)):
            nid, flags = self.memory[page]
            self.memory[page] = nid, flags | flag if on else flags & ~flag

    @rule(start=starts, size=sizes)
    def reserve(self, start, size):
        assert self.mb.reserved.add(start * PAGE, size * PAGE) == 0
        self.reserved |= set(range(start, start + size))

    @rule(start=starts, size=sizes)
    def free(self, start, size):
        assert self.mb.reserved.remove(start * PAGE, size * PAGE) == 0
        self.reserved -= set(range(start, start + size))

    @rule(upwards=st.booleans())
    def direct(self, upwards):
        self.mb.bottom_up = upwards

    @rule(size=st.integers(1, 6), order=orders, low=st.integers(0, END), high=st.integers(0, END), nid=nodes)
    def alloc(self, size, order, low, high, nid):
        found = self.mb.alloc(size * PAGE, PAGE << order, low * PAGE, high * PAGE or MEMBLOCK_ALLOC_ANYWHERE, nid)
        fits = self.fitting(size, order, low, high or END, nid) or self.fitting(
            size, order, low, high or END, NUMA_NO_NODE
        )
        assert found == ((min(fits) if self.mb.bottom_up else max(fits)) * PAGE if fits else 0)
        self.reserved |= set(range(found // PAGE, found // PAGE + size)) if found else set()

    def fitting(self, size, order, low, high, nid):
        """Return where a block fits that lies in one region: of pages that are alike."""
        return [
            page
            for page in range(0, END, 1 << order)
            if page >= max(low, 1) and page + size <= high and self.usable(page, size, nid)
        ]

    def usable(self, page, size, nid):
        pages = range(page, page + size)
        kinds = {self.memory.get(p) for p in pages}
        return (
            len(kinds) == 1
            and (kind := kinds.pop()) is not None
            and not kind[1] & MEMBLOCK_NOMAP
            and nid in (NUMA_NO_NODE, kind[0])
            and not self.reserved.intersection(pages)
        )

    @invariant()
    def tables_say_what_the_model_says(self):
        shown = {
            page: (row.nid, row.flags) for row in self.mb.memory for page in range(row.base // PAGE, row.end // PAGE)
        }
        assert shown == self.memory
        assert {p for row in self.mb.reserved for p in range(row.base // PAGE, row.end // PAGE)} == self.reserved
        assert self.mb.memory.total_size == len(self.memory) * PAGE
        assert self.mb.reserved.total_size == len(self.reserved) * PAGE

    @invariant()
    def neighbours_that_are_alike_are_one(self):
        for table in (self.mb.memory, self.mb.reserved):
            rows = table.regions
            for a, b in itertools.pairwise(rows):
                assert a.end <= b.base
                assert a.end < b.base or (a.nid, a.flags) != (b.nid, b.flags)
                assert table.search(b.base) is b

    @invariant()
    def walks_agree(self):
        free = list(self.mb.free_ranges(NUMA_NO_NODE, MEMBLOCK_NOMAP))
        assert free == [*self.mb.free_ranges_down(NUMA_NO_NODE, MEMBLOCK_NOMAP)][::-1]
        pages = [p for r in free for p in range(r.start // PAGE, r.end // PAGE)]
        assert pages == sorted(self.memory.keys() - self.reserved)


TestMemblock = MemblockMachine.TestCase
TestMemblock.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
