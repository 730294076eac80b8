"""vmalloc space against a plain model: no overlap, a guard behind every area, bytes keep their values, all comes back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

import kmock
from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.gfp import __free_page as free_one
from kmock.linux.types import Ptr
from kmock.linux.vmalloc import (
    PAGE_KERNEL,
    VM_MAP,
    free_vm_area,
    get_vm_area,
    vfree,
    vm_map_ram,
    vm_unmap_aliases,
    vm_unmap_ram,
    vmalloc,
    vmalloc_huge,
    vmap,
    vunmap,
    vzalloc,
)
from kmock.linux.vmalloc import __vmalloc_node_range as vmalloc_range

PAGE = 4096
RAM_PAGES = 16


class Space(RuleBasedStateMachine):
    """Areas by first address: the bytes of address space they hold, their guard, and what was last stored in them."""

    areas = Bundle("areas")
    maps = Bundle("maps")
    rams = Bundle("rams")
    bare = Bundle("bare")

    @initialize(cpus=st.integers(1, 4))
    def boot(self, cpus):
        self.k = kmock.boot(cpus=cpus, memory="256M")  # enough for a huge area in every step
        self.model = {}
        self.made = 0
        self.pages = [alloc_page(GFP_KERNEL) for _ in range(RAM_PAGES)]
        self.k.page_alloc.drain_all_pages()
        self.free_before = self.k.page_alloc.nr_free_pages

    def _enter(self, p, size, guard, first=0):
        span = -(-size // PAGE) * PAGE + guard
        assert int(p) % PAGE == 0
        for start, (held, _) in self.model.items():
            assert int(p) + span <= start or start + held <= int(p)
        self.model[int(p)] = (span, guard)
        return (p, size, first)

    def _leave(self, p):
        del self.model[int(p)]

    # -- memory of its own ------------------------------------------------------------------------

    @rule(target=areas, size=st.integers(1, 9 * PAGE), zeroed=st.booleans())
    def alloc(self, size, zeroed):
        p = (vzalloc if zeroed else vmalloc)(size)
        if zeroed:
            assert p[0:size] == bytes(size)
        self.made += 1
        stamp = self.made & 0xFF
        p[0:size] = bytes([stamp]) * size
        return self._enter(p, size, PAGE, stamp)

    @rule(target=areas, order=st.integers(12, 20))
    def alloc_aligned(self, order):
        k = self.k
        low, high = k.layout.vmalloc_start + (1 << 30), k.layout.vmalloc_start + (1 << 31)
        p = vmalloc_range(PAGE, 1 << order, low, high, GFP_KERNEL, PAGE_KERNEL, 0, -1)
        assert int(p) % (1 << order) == 0
        assert low <= int(p) < high
        p[0:PAGE] = bytes([7]) * PAGE
        return self._enter(p, PAGE, PAGE, 7)

    @rule(target=areas)
    def alloc_huge(self):
        p = vmalloc_huge(2 << 20, GFP_KERNEL)
        assert int(p) % (2 << 20) == 0
        p[0:PAGE] = bytes([9]) * PAGE
        return self._enter(p, 2 << 20, PAGE, 9)

    @rule(entry=consumes(areas), in_interrupt=st.booleans())
    def free(self, entry, in_interrupt):
        p, size, stamp = entry
        assert p[0:1] == bytes([stamp])
        assert size == 2 << 20 or p[size - 1] == stamp
        self._leave(p)
        if in_interrupt:
            with self.k.hardirq():
                vfree(p)
            self.k.advance(0.01)
        else:
            vfree(p)

    # -- mappings of other pages ------------------------------------------------------------------

    def _check_view(self, p, first, count):
        self.made += 1
        at = self.made % (count * PAGE)
        p[at] = self.made & 0xFF
        page = self.pages[first + at // PAGE]
        assert self.k.ram.bytes[page.phys + at % PAGE] == self.made & 0xFF

    @rule(target=maps, first=st.integers(0, RAM_PAGES - 1), count=st.integers(1, RAM_PAGES))
    def map(self, first, count):
        pages = self.pages[first : first + count]
        p = vmap(pages, len(pages), VM_MAP, PAGE_KERNEL)
        return self._enter(p, len(pages) * PAGE, PAGE, first)

    @rule(entry=maps)
    def use_map(self, entry):
        p, size, first = entry
        if int(p) in self.model:
            self._check_view(p, first, size // PAGE)

    @rule(entry=consumes(maps))
    def unmap(self, entry):
        self._leave(entry[0])
        vunmap(entry[0])

    @rule(
        target=rams, first=st.integers(0, RAM_PAGES - 1), count=st.integers(1, RAM_PAGES), times=st.sampled_from((1, 5))
    )
    def map_ram(self, first, count, times):
        # More than 64 pages do not come from a block.
        pages = self.pages[first : first + count] * times
        p = vm_map_ram(pages, len(pages), -1)
        entry = self._enter(p, len(pages) * PAGE, 0, first)
        if times == 1:
            self._check_view(p, first, len(pages))
        return entry

    @rule(entry=consumes(rams))
    def unmap_ram(self, entry):
        p, size, _ = entry
        self._leave(p)
        vm_unmap_ram(p, size // PAGE)

    # -- addresses only ---------------------------------------------------------------------------

    @rule(target=bare, size=st.integers(1, 100 * PAGE))
    def reserve(self, size):
        area = get_vm_area(size, VM_MAP)
        assert area.size == -(-size // PAGE) * PAGE + PAGE
        self._enter(area.addr, size, PAGE)
        return area

    @rule(area=consumes(bare))
    def give_back(self, area):
        self._leave(area.addr)
        free_vm_area(area)

    @rule()
    def flush(self):
        vm_unmap_aliases()

    # -- what always holds ------------------------------------------------------------------------

    @invariant()
    def books_agree(self):
        k = self.k
        living = {area.addr: area.span for area in k.vmalloc.living()}
        assert living == {start: span for start, (span, _) in self.model.items()}
        free = k.vmalloc.space.ranges()
        assert all(end < start for (_, end), (start, _) in pairwise(free))
        for start, span in living.items():
            assert not any(low < start + span and start < high for low, high in free)

    @invariant()
    def guards_are_unmapped(self):
        for start, (span, guard) in self.model.items():
            assert not guard or self.k.mmu.translate(start + span - guard) is None

    @rule()
    def nothing_is_said(self):
        assert [str(r) for r in self.k.reports] == []

    def teardown(self):
        if not hasattr(self, "k"):
            return
        k = self.k
        for area in k.vmalloc.living():
            if area.flags:
                k.vmalloc.remove(area)
            else:
                vm_unmap_ram(Ptr(area.addr), area.size // PAGE)
        vm_unmap_aliases()
        assert k.vmalloc.space.ranges() == [(k.vmalloc.space.start, k.vmalloc.space.end)]
        k.page_alloc.drain_all_pages()
        # A slab of vm_structs may have come, and stayed.
        assert self.free_before - 4 <= k.page_alloc.nr_free_pages <= self.free_before
        for page in self.pages:
            free_one(page)
        k.shutdown()
        assert [str(r) for r in k.reports] == []


Space.TestCase.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSpace = Space.TestCase
