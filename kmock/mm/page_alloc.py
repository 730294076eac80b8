"""The page allocator: ``alloc_pages()`` and what belongs to it (``mm/page_alloc.c``)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NoReturn

from kmock.mm.alloc_context import AllocContexts
from kmock.mm.bad_page import PAGE_FLAGS_CHECK_AT_FREE, BadPages, new_block
from kmock.mm.buddy import MAX_ORDER
from kmock.mm.freelist import ALLOC_KSWAPD, ALLOC_WMARK_LOW, FreeLists
from kmock.mm.fs_reclaim import FsReclaim
from kmock.mm.gfp import __GFP_ATOMIC as GFP_ATOMIC_BIT
from kmock.mm.gfp import __GFP_COMP as GFP_COMP
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM as GFP_DIRECT_RECLAIM
from kmock.mm.gfp import __GFP_NOFAIL as GFP_NOFAIL
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_THISNODE as GFP_THISNODE
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_SCOPES, scoped
from kmock.mm.highmem import Highmem
from kmock.mm.might_alloc import might_alloc
from kmock.mm.page import Page, PageBlock, PG_head, PG_slab
from kmock.mm.page_lock import PageLocks
from kmock.mm.scopes import MemallocScopes
from kmock.mm.slowpath import Slowpath
from kmock.mm.vet import lint_atomic, vet_gfp, wrong_free
from kmock.mm.vmscan import Vmscan
from kmock.mm.zones import Zone, Zones
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.vm_area import VmArea
    from kmock.mm.vmscan import shrinker

_HEAD: Final = 1 << PG_head
_SLAB: Final = 1 << PG_slab
_BOTH: Final = GFP_ATOMIC_BIT | GFP_DIRECT_RECLAIM
_ORDINARY: Final = frozenset(("alloc_pages", "__get_free_pages", "get_zeroed_page", "alloc_pages_bulk_array"))


class PageAllocator:
    """All zones of one kernel, and every allocation of whole pages."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        config = kernel.config
        self.memmap = kernel.memmap
        self.pages = kernel.memmap.pages
        self.blocks: dict[int, PageBlock] = {}
        """Living allocations by their ordinal."""
        self.bad = BadPages(kernel)
        self.lint = config.lint
        self.poisoning = _on(config.boot_arg("page_poison"))
        # Poisoning takes precedence over both (init_mem_debugging_and_hardening()).
        self.init_on_alloc = not self.poisoning and _on(config.boot_arg("init_on_alloc"))
        self.init_on_free = not self.poisoning and _on(config.boot_arg("init_on_free"))
        self.wiping = self.poisoning or self.init_on_free
        self.debug_pagealloc = _on(config.boot_arg("debug_pagealloc"))
        # CONFIG_DEBUG_VM moves the checks from the zones' edge to every single page.
        self.check_early = config.debug_vm or self.debug_pagealloc
        self.check_late = not config.debug_vm or self.debug_pagealloc
        self.vmapped: dict[int, list[VmArea]] = {}
        """By page frame, where vmap() and its kin show it at another address."""
        self.in_shrinker: dict[Task, shrinker] = {}
        """The reclaim callback that a task is in."""
        self._poisoned: set[int] = set()
        plans = kernel.boot_memory.plans() if "boot_memory" in vars(kernel) else None
        self.adopt(Zones(config, kernel.layout, plans))

    def adopt(self, zones: Zones) -> None:
        """Allocate from these zones."""
        self.zones = zones
        self.memmap.zone_of = zones.zone_of
        self.lists = FreeLists(self.kernel, len(zones.nodes), self._fit_new, self._fit_refill, self._fit_free)
        self.contexts = AllocContexts(self.kernel, zones)

    @functools.cached_property
    def vmscan(self) -> Vmscan:
        """Reclaim."""
        return Vmscan(self.kernel, self.in_shrinker)

    @functools.cached_property
    def fs_reclaim(self) -> FsReclaim:
        """What reclaim waits for."""
        return FsReclaim(self.kernel, self.in_shrinker)

    @functools.cached_property
    def highmem(self) -> Highmem:
        """kmap() and its kin."""
        return Highmem(self.kernel)

    @functools.cached_property
    def locks(self) -> PageLocks:
        """lock_page() and its kin."""
        return PageLocks(self.kernel)

    @functools.cached_property
    def scopes(self) -> MemallocScopes:
        """memalloc_*_save() sections."""
        return MemallocScopes(self.kernel)

    @functools.cached_property
    def slowpath(self) -> Slowpath:
        """What happens when the first look for pages finds none."""
        return Slowpath(self)

    # -- allocation -----------------------------------------------------------------------------

    def alloc_pages(
        self, gfp: int, order: int, nid: int | None = None, call: str = "alloc_pages", owner: Any = None
    ) -> Page | None:
        """``__alloc_pages()``: return the first of ``1 << order`` pages, None if that fails.

        ``nid`` is the preferred node, None for the processor's own. ``call`` names the public function for
        reports. With an ``owner`` the pages belong to that (a Slab, for instance), without one a
        :class:`PageBlock` is made.
        """
        k = self.kernel
        if order >= MAX_ORDER or order < 0:
            if not gfp & GFP_NOWARN:
                k.warn("page-order-too-large", "mm/page_alloc.c:5634", "__alloc_pages", key=call)
            return None
        cpu = k.cpu
        task = cpu.task
        if task.flags & GFP_SCOPES:
            gfp = scoped(gfp, task.flags)
        key = (cpu.node if nid is None else nid) << 6 | gfp & 0x1F | (gfp & GFP_THISNODE) >> 16
        ac = self.contexts.get(key) or self.contexts.make(gfp, key)
        if owner is None and (gfp & GFP_NOFAIL or gfp & _BOTH == _BOTH):
            vet_gfp(k, gfp)
        if gfp & GFP_DIRECT_RECLAIM:
            if cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block or task.held or self.in_shrinker:
                might_alloc(k, gfp)
        elif self.lint and owner is None:
            lint_atomic(k, gfp)
        if k.faults.active and k.faults.should_fail_alloc_page(gfp, order):
            return None
        pfn = -1 if order else self.lists.quick(ac, cpu.id)
        if pfn < 0:
            pfn = self.lists.get(gfp, order, ALLOC_WMARK_LOW | gfp & ALLOC_KSWAPD | ac.nofragment, ac)
        if pfn < 0:
            pfn = self.slowpath.alloc(gfp, order, ac, key >> 6)
        if pfn < 0:
            return None
        return self._prepare(pfn, order, gfp, call, owner)

    def _prepare(self, pfn: int, order: int, gfp: int, call: str, owner: Any) -> Page:
        # prep_new_page()
        pages = self.pages
        page = pages.get(pfn)
        if page is None:
            page = self.memmap.page(pfn)
        n = 1 << order
        if self.poisoning:
            self._unpoison(pfn, n)
        zero = gfp & GFP_ZERO or self.init_on_alloc
        if zero and not self.init_on_free:
            self.kernel.ram.bytes[pfn << 12 : pfn + n << 12] = bytes(n << 12)
        if owner is None:
            owner = new_block(self.kernel, page, n << 12, order, gfp, call, written=bool(zero or self.init_on_free))
            owner.alloc_stack = capture(3)
            self.blocks[owner.seq] = owner
        page._refcount = 1
        page.private = 0
        page.owner = owner
        if order:
            self._prepare_tails(page, n, owner, compound=bool(gfp & GFP_COMP))
            if gfp & GFP_COMP:
                page.flags |= _HEAD
                page.order = order
        return page

    def _prepare_tails(self, page: Page, n: int, owner: Any, *, compound: bool) -> None:
        pages = self.pages
        pfn = page.pfn
        for i in range(pfn + 1, pfn + n):
            tail = pages.get(i)
            if tail is None:
                tail = self.memmap.page(i)
            tail.private = 0
            tail.owner = owner
            tail.head = page if compound else None

    # -- checks on the way out and in -----------------------------------------------------------

    def _fit_new(self, pfn: int, order: int) -> bool:
        if not self.check_early:
            return True
        if not order:
            page = self.pages.get(pfn)
            return page is None or not self.bad.check_new(page)
        return self._fit(pfn, order)

    def _fit_refill(self, pfn: int, order: int) -> bool:
        return not self.check_late or self._fit(pfn, order)

    def _fit(self, pfn: int, order: int) -> bool:
        # A page that was never touched can't be bad.
        pages = self.pages
        return not any(
            (p := pages.get(i)) is not None and self.bad.check_new(p) for i in range(pfn, pfn + (1 << order))
        )

    def _fit_free(self, pfn: int) -> bool:
        if not self.check_late:
            return True
        page = self.pages.get(pfn)
        return page is None or not self.bad.check_drained(page)

    # -- freeing --------------------------------------------------------------------------------

    def free_pages(self, page: Page, order: int, call: str = "__free_pages") -> None:
        """``__free_pages()``: drop a reference, and free ``1 << order`` pages if it was the last."""
        if page.__class__ is not Page:
            self.no_page(page, call)
        block = page.owner
        if (
            page._refcount == 1
            and block.__class__ is PageBlock
            and block.page is page
            and block.order == order
            and block.live
            and block.call in _ORDINARY
            and not self.vmapped
        ):
            page._refcount = 0
            if order or not self._free_quickly(page, block):
                self.free_the_page(page, order)
            return
        with self.bad.caused_by(wrong_free(page, order, call), call, page):
            self.drop(page, order)
        if page._refcount > 0 and block.__class__ is PageBlock and block.live:
            block.released_by = call

    def _free_quickly(self, page: Page, block: PageBlock) -> bool:
        """Free one page that is in the best of states; False if it is not."""
        if self.wiping or page.flags & PAGE_FLAGS_CHECK_AT_FREE or page.mapping is not None or page._mapcount != -1:
            return False
        k = self.kernel
        block.live = False
        block.free_stack = capture(3)
        block.free_task = k.cpu.task
        self.blocks.pop(block.seq, None)
        page.flags = 0
        page.private = 0
        if k.mem.origins:
            k.mem.forget_origins(page.pfn << 12, 4096)
        assert page.zone is not None
        self.lists.put(page.zone, page.pfn, 0)
        return True

    def no_page(self, page: Any, call: str) -> NoReturn:
        """``call`` was given NULL or another number for a page: fault as the kernel would."""
        origin = getattr(page, "origin", None)
        self.kernel.kasan.page_fault(int(page or 0), write=False, origin=origin, by=call, n=8)

    def drop(self, page: Page, order: int) -> None:
        """``__free_pages()`` without a look at who calls it."""
        head = page.flags & _HEAD
        if self.put_page_testzero(page):
            self.free_the_page(page, order)
        elif not head:
            # The last put_page() will free the first page only.
            while order > 0:
                order -= 1
                self.free_the_page(page + (1 << order), order)

    def put_page_testzero(self, page: Page, kind: str = "page-double-free") -> bool:
        """Drop a reference; whether it was the last."""
        if page._refcount == 0 and self.kernel.config.debug_vm:
            self.bad.bug(kind, "include/linux/mm.h:780", page, "page_ref_count(page) == 0")
        page._refcount -= 1
        return page._refcount == 0

    def get_page(self, page: Page) -> None:
        """``get_page()``: take a reference on the page, or on the compound page that it is part of."""
        if page.__class__ is not Page:
            self.no_page(page, "get_page")
        head = page.head or page
        if head._refcount <= 0:
            with self.bad.caused_by("page-get-after-free", "get_page", page):
                if self.kernel.config.debug_vm:
                    condition = "((unsigned int) folio_ref_count(folio) + 127u <= 127u)"
                    self.bad.bug("", "include/linux/mm.h:1146", head, condition, "VM_BUG_ON_FOLIO")
        elif head.flags & _SLAB:
            self.bad.complain("page-put-slab", "get_page", page)
        head._refcount += 1

    def put_page(self, page: Page) -> None:
        """``put_page()``: drop a reference; the last one frees a compound page, or this one page."""
        if page.__class__ is not Page:
            self.no_page(page, "put_page")
        page = page.head or page
        order = page.order if page.flags & _HEAD else 0
        with self.bad.caused_by(wrong_free(page, order, "put_page"), "put_page", page):
            if self.put_page_testzero(page, "page-refcount-overput"):
                self.free_the_page(page, order)

    def free_the_page(self, page: Page, order: int, *, tail: bool = False) -> None:
        """Give pages without references back to their zone; bad ones stay out of use.

        With ``tail`` they bypass the processor's lists and are the last to be used again.
        """
        late = order <= 3 and not self.check_early and not tail
        self.bad.forget()
        if not self._free_prepare(page, order, check=not late):
            return
        zone = page.zone
        if zone is None:
            return
        if tail:
            self.lists.put_buddy(zone, page.pfn, order, tail=True)
        else:
            self.lists.put(zone, page.pfn, order)

    def _free_prepare(self, page: Page, order: int, *, check: bool) -> bool:
        # free_pages_prepare()
        n = 1 << order
        bad = order > 0 and self._tails_bad(page, order)
        self._retire(page, n)
        if check and self.bad.check_free(page):
            bad = True
        if bad:
            return False
        page.flags = 0
        page.private = 0
        page.order = 0
        k = self.kernel
        start = page.pfn << 12
        if self.poisoning:
            k.ram.bytes[start : start + (n << 12)] = b"\xaa" * (n << 12)
            self._poisoned.update(range(page.pfn, page.pfn + n))
        if self.init_on_free:
            k.ram.bytes[start : start + (n << 12)] = bytes(n << 12)
        if k.mem.origins:
            k.mem.forget_origins(start, n << 12)
        return True

    def _tails_bad(self, page: Page, order: int) -> bool:
        compound = bool(page.flags & _HEAD)
        debug_vm = self.kernel.config.debug_vm
        if compound and page.order != order and debug_vm:
            condition = "compound && compound_order(page) != order"
            self.bad.bug("page-free-order-compound", "mm/page_alloc.c:1459", page, condition)
        bad = False
        for i in range(1, 1 << order):
            tail = page + i
            if compound and debug_vm:
                bad = self.bad.check_tail(page, tail) or bad
            elif compound:
                tail.head = None
            if self.bad.check_free(tail):
                bad = True
                continue
            tail.flags = 0
        return bad

    def _unpoison(self, pfn: int, n: int) -> None:
        for i in range(pfn, pfn + n):
            if i in self._poisoned:
                self._poisoned.discard(i)
                page = self.memmap.page(i)
                page._refcount = 1
                self.bad.check_poison(page)
                page._refcount = 0
            else:
                # Boot poisoned all of memory; here a page is, when it is first looked at.
                self.kernel.ram.bytes[i << 12 : i + 1 << 12] = b"\xaa" * 4096

    # -- records --------------------------------------------------------------------------------

    def _retire(self, page: Page, n: int) -> None:
        """Note in the records that ``n`` pages from ``page`` on are free."""
        if self.vmapped:
            self.kernel.vmalloc.maps.freed(page, n)
        block = page.owner
        if block.__class__ is PageBlock and block.page is page and n << 12 == 4096 << block.order:
            if block.live:
                self.end(block)
            return
        for i in range(n):
            one = page + i
            owner = one.owner
            if owner.__class__ is not PageBlock:
                one.owner = None
            elif owner.live:
                self._end_part(owner, one)

    def _end_part(self, block: PageBlock, page: Page) -> None:
        if block.page is page:
            self.end(block)
            return
        # The rest in front of the freed pages stays allocated; what was freed gets a record of its own.
        block.size = min(block.size, page.phys - block.phys)
        part = new_block(self.kernel, page, 4096, 0, block.gfp, block.call, written=True)
        part.alloc_stack = block.alloc_stack
        page.owner = part
        self.end(part)

    def end(self, block: PageBlock) -> None:
        """Record that an allocation is freed now, by the running task."""
        block.live = False
        block.free_stack = capture(3)
        block.free_task = self.kernel.cpu.task
        self.blocks.pop(block.seq, None)

    def live_blocks(self) -> Iterable[PageBlock]:
        """Return the records of all pages that drivers hold, oldest first."""
        return self.blocks.values()

    # -- state ----------------------------------------------------------------------------------

    def is_free(self, address: int) -> bool:
        """Whether the direct-map address lies in a free page."""
        k = self.kernel
        phys = address - k.layout.page_offset
        if not 0 <= phys < k.layout.direct_map_size:
            return False
        pfn = phys >> 12
        page = self.pages.get(pfn)
        if page is None or page.owner is None:
            zone = self.zones.zone_of(pfn)
            return zone is not None and zone.is_managed(pfn) and (page is None or page._refcount == 0)
        return page.owner.__class__ is PageBlock and not page.owner.live

    def drain_all_pages(self) -> None:
        """Empty all processors' lists into the zones."""
        self.lists.drain(tuple(self.zones.all))

    @property
    def nr_free_pages(self) -> int:
        """Pages on the zones' free lists; those on processors' lists don't count, as in ``/proc/meminfo``."""
        return sum(zone.buddy_pages for zone in self.zones.all)


def _on(value: str | None) -> bool:
    return value is not None and value.lower() in ("1", "on", "y", "yes", "")


__all__ = ["PageAllocator", "Zone"]
