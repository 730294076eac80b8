"""The buddy allocator against a plain model: pages are either free or somebody's, and never both or neither."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import kmock
from kmock.linux.gfp import (
    __GFP_NOWARN,
    __GFP_RECLAIMABLE,
    GFP_ATOMIC,
    GFP_DMA,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    __free_pages,
    alloc_pages,
)

MACHINES = ({"memory": "8M", "cpus": 2}, {"memory": "64M", "cpus": 2}, {"memory": "64M", "nodes": 2, "cpus": 2})
QUIET = __GFP_NOWARN
give_back = __free_pages  # a class would mangle the name
FLAGS = (GFP_KERNEL, GFP_ATOMIC, GFP_DMA, GFP_HIGHUSER_MOVABLE, GFP_KERNEL | __GFP_RECLAIMABLE)


class PageAllocatorMachine(RuleBasedStateMachine):
    @initialize(machine=st.sampled_from(MACHINES))
    def boot(self, machine: dict[str, Any]) -> None:
        self.k = kmock.boot(**machine)
        self.zones = self.k.page_alloc.zones.all
        self.at_boot = [zone.free_area for zone in self.zones]
        self.held: list[tuple[Any, int]] = []

    @rule(order=st.integers(0, 10), gfp=st.sampled_from(FLAGS), cpu=st.integers(0, 1))
    def alloc(self, order: int, gfp: int, cpu: int) -> None:
        with self.k.on_cpu(cpu):
            page = alloc_pages(gfp | QUIET, order)
        if page:
            assert page.pfn % (1 << order) == 0
            self.held.append((page, order))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), cpu=st.integers(0, 1))
    def free(self, data: st.DataObject, cpu: int) -> None:
        page, order = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        with self.k.on_cpu(cpu):
            give_back(page, order)

    @rule()
    def drain(self) -> None:
        self.k.page_alloc.drain_all_pages()

    @invariant()
    def every_page_is_in_one_place(self) -> None:
        if not hasattr(self, "k"):
            return
        claimed: list[tuple[int, int]] = [(page.pfn, page.pfn + (1 << order)) for page, order in self.held]
        for zone in self.zones:
            claimed += [(pfn, pfn + (1 << order)) for pfn, order in zone.free_blocks()]
            for pcp in zone.pcp.values():
                lists = [(pfn, i // 3) for i, lst in enumerate(pcp.lists) for pfn in lst]
                assert sum(1 << order for _, order in lists) == pcp.count
                claimed += [(pfn, pfn + (1 << order)) for pfn, order in lists]
        claimed.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(claimed))
        assert sum(b - a for a, b in claimed) == sum(zone.managed_pages for zone in self.zones)

    @invariant()
    def counters_agree(self) -> None:
        if not hasattr(self, "k"):
            return
        for zone in self.zones:
            lists = [sum(zone.free_by_type(t)[order] for t in range(4)) for order in range(11)]
            assert lists == zone.free_area
            drift = sum(pcp.stat_diff for pcp in zone.pcp.values())
            assert zone.vm_free + drift == zone.buddy_pages
        shown = [line.split()[4:] for line in self.k.read_file("/proc/buddyinfo").splitlines()]
        assert [[int(n) for n in row] for row in shown] == [zone.free_area for zone in self.zones]

    def teardown(self) -> None:
        if not hasattr(self, "k"):
            return
        for page, order in self.held:
            give_back(page, order)
        self.k.page_alloc.drain_all_pages()
        assert [zone.free_area for zone in self.zones] == self.at_boot
        self.k.shutdown()
        assert self.k.reports == []


PageAllocatorMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
test_against_a_model = PageAllocatorMachine.TestCase
