"""What an allocation does when no zone has pages above its low watermark (``__alloc_pages_slowpath()``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from kmock.errors import Deadlock
from kmock.kernel.hang import hang_report
from kmock.kernel.task import PF_MEMALLOC, Task
from kmock.mm.freelist import (
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NO_WATERMARKS,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    ALLOC_WMARK_HIGH,
    ALLOC_WMARK_MIN,
    unreserve_highatomic,
    watermark_ok,
)
from kmock.mm.gfp import __GFP_ATOMIC as GFP_ATOMIC_BIT
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM as GFP_DIRECT_RECLAIM
from kmock.mm.gfp import __GFP_FS as GFP_FS
from kmock.mm.gfp import __GFP_HIGH as GFP_HIGH
from kmock.mm.gfp import __GFP_MEMALLOC as GFP_MEMALLOC
from kmock.mm.gfp import __GFP_NOFAIL as GFP_NOFAIL
from kmock.mm.gfp import __GFP_NOMEMALLOC as GFP_NOMEMALLOC
from kmock.mm.gfp import __GFP_NORETRY as GFP_NORETRY
from kmock.mm.gfp import __GFP_RETRY_MAYFAIL as GFP_RETRY_MAYFAIL
from kmock.mm.gfp import __GFP_THISNODE as GFP_THISNODE
from kmock.mm.pcp import PAGE_ALLOC_COSTLY_ORDER
from kmock.mm.show_mem import oom_header, warn_alloc

if TYPE_CHECKING:
    from kmock.mm.alloc_context import AllocContext
    from kmock.mm.page_alloc import PageAllocator

MAX_RECLAIM_RETRIES: Final = 16
_SOFTIRQ: Final = 0x100
_INTERRUPT: Final = 0xFFFF00


class Slowpath:
    """Reserves, reclaim, the OOM killer, and the message when nothing helped."""

    __slots__ = ("allocator", "kernel", "oom_victims")

    def __init__(self, allocator: PageAllocator) -> None:
        self.allocator = allocator
        self.kernel = allocator.kernel
        self.oom_victims: set[Task] = set()

    def alloc(self, gfp: int, order: int, ac: AllocContext, nid: int) -> int:
        """Return the first page frame of a block, -1 after all attempts; the log then says why."""
        k = self.kernel
        if gfp & GFP_ATOMIC_BIT and gfp & GFP_DIRECT_RECLAIM:
            k.warn("gfp-contradictory", "mm/page_alloc.c:5118", "__alloc_pages_slowpath", key=gfp)
            gfp &= ~GFP_ATOMIC_BIT
        flags = alloc_flags(gfp, order)
        pfn = self._get(gfp, order, flags, ac)
        if pfn < 0 and not (order > PAGE_ALLOC_COSTLY_ORDER and gfp & GFP_NORETRY and gfp & GFP_DIRECT_RECLAIM):
            pfn = self._retry(gfp, order, flags, ac, nid)
        if pfn < 0 and gfp & GFP_NOFAIL:
            pfn = self._nofail(gfp, order, ac, nid)
        if pfn < 0:
            warn_alloc(k, gfp, f"page allocation failure: order:{order}", order)
        return pfn

    def _get(self, gfp: int, order: int, flags: int, ac: AllocContext) -> int:
        return self.allocator.lists.get(gfp, order, flags, ac)

    def _retry(self, gfp: int, order: int, flags: int, ac: AllocContext, nid: int) -> int:
        stuck = 0
        while True:
            reserves = self.reserve_flags(gfp)
            if reserves:
                flags = reserves | flags & ALLOC_KSWAPD
            pfn = self._get(gfp, order, flags, ac)
            task = self.kernel.cpu.task
            if pfn >= 0 or not gfp & GFP_DIRECT_RECLAIM or task.flags & PF_MEMALLOC:
                return pfn
            pfn, progress = self._reclaim(gfp, order, flags, ac, nid)
            if pfn >= 0 or gfp & GFP_NORETRY:
                return pfn
            if order > PAGE_ALLOC_COSTLY_ORDER and not gfp & GFP_RETRY_MAYFAIL:
                return -1
            stuck = 0 if progress and order <= PAGE_ALLOC_COSTLY_ORDER else stuck + 1
            if self._worth_another_try(order, flags, ac, stuck):
                continue
            pfn, progress = self._may_oom(gfp, order, ac)
            if pfn >= 0 or not progress or (task in self.oom_victims and flags & ALLOC_OOM):
                return pfn
            stuck = 0

    def reserve_flags(self, gfp: int) -> int:
        """``__gfp_pfmemalloc_flags()``: the reserves that the request may use up, whatever the watermarks say."""
        cpu = self.kernel.cpu
        task = cpu.task
        if gfp & GFP_NOMEMALLOC:
            return 0
        serving = cpu.preempt_count & _SOFTIRQ
        if gfp & GFP_MEMALLOC or (task.flags & PF_MEMALLOC and (serving or not cpu.preempt_count & _INTERRUPT)):
            return ALLOC_NO_WATERMARKS
        return ALLOC_OOM if task in self.oom_victims and not cpu.preempt_count & _INTERRUPT else 0

    def _reclaim(self, gfp: int, order: int, flags: int, ac: AllocContext, nid: int) -> tuple[int, int]:
        allocator = self.allocator
        progress = allocator.vmscan.try_to_free_pages(gfp, nid)
        pfn = self._get(gfp, order, flags, ac) if progress else -1
        if pfn < 0:
            # Pages may be pinned on processors' lists or in reserves for high-order atomic allocations.
            unreserve_highatomic(ac, force=False)
            allocator.drain_all_pages()
            pfn = self._get(gfp, order, flags, ac)
        return pfn, progress

    def _worth_another_try(self, order: int, flags: int, ac: AllocContext, stuck: int) -> bool:
        # should_reclaim_retry()
        if stuck <= MAX_RECLAIM_RETRIES and any(
            watermark_ok(zone, order, zone.watermark.min, ac.highest, flags, zone.buddy_pages) for zone in ac.zones
        ):
            return True
        return unreserve_highatomic(ac, force=True)

    def _may_oom(self, gfp: int, order: int, ac: AllocContext) -> tuple[int, bool]:
        """``__alloc_pages_may_oom()``: (page frame or -1, whether another round makes sense)."""
        pfn = self._get(gfp & ~GFP_DIRECT_RECLAIM, order, ALLOC_WMARK_HIGH, ac)
        k = self.kernel
        lowmem = ac.highest < self.allocator.zones.names.index("Normal")
        if pfn >= 0 or order > PAGE_ALLOC_COSTLY_ORDER or gfp & (GFP_RETRY_MAYFAIL | GFP_THISNODE) or lowmem:
            return pfn, False
        if not gfp & GFP_FS:
            # The OOM killer does not compensate for reclaim without I/O: it would kill too early.
            if not gfp & GFP_NOFAIL:
                self._hang(gfp, order)
            return -1, False
        if k.cpu.task in self.oom_victims:
            return -1, False
        self.out_of_memory(gfp, order)
        return -1, True

    def out_of_memory(self, gfp: int, order: int) -> None:
        """``out_of_memory()``: make the running task the victim: it may use reserves, and then fails."""
        k = self.kernel
        task = k.cpu.task
        oom_header(k, gfp, order)
        k.log.write(f"Out of memory: Killed process {task.pid} ({task.comm}) total-vm:0kB, anon-rss:0kB, file-rss:0kB")
        self.oom_victims.add(task)

    def _nofail(self, gfp: int, order: int, ac: AllocContext, nid: int) -> int:
        k = self.kernel
        function = "__alloc_pages_slowpath"
        if not gfp & GFP_DIRECT_RECLAIM:
            k.warn("gfp-nofail-misuse", "mm/page_alloc.c:5367", function, key=gfp)
            return -1
        if k.current.flags & PF_MEMALLOC:
            k.warn("gfp-nofail-misuse", "mm/page_alloc.c:5375", function, key=gfp)
        if order > PAGE_ALLOC_COSTLY_ORDER:
            k.warn("gfp-nofail-misuse", "mm/page_alloc.c:5383", function, key=gfp)
        for flags in (ALLOC_MIN_RESERVE, ALLOC_NO_WATERMARKS):
            pfn = self._get(gfp, order, flags, ac)
            if pfn >= 0:
                return pfn
        pfn, _ = self._reclaim(gfp, order, ALLOC_NO_WATERMARKS, ac, nid)
        if pfn < 0:
            self._hang(gfp, order)
        return pfn

    def _hang(self, gfp: int, order: int) -> NoReturn:
        """The kernel would look for pages for ever, and nobody is left to free one."""
        k = self.kernel
        warn_alloc(k, gfp, f"page allocation stalls: order:{order}", order)
        raise Deadlock(hang_report(k, []))


def alloc_flags(gfp: int, order: int) -> int:
    """``gfp_to_alloc_flags()``: what a request may dip into once the low watermark is reached."""
    flags = ALLOC_WMARK_MIN | gfp & (GFP_HIGH | ALLOC_KSWAPD)
    if not gfp & (GFP_DIRECT_RECLAIM | GFP_NOMEMALLOC):
        flags |= ALLOC_NON_BLOCK
        if order > 0 and flags & ALLOC_MIN_RESERVE:
            flags |= ALLOC_HIGHATOMIC
    return flags
