"""Which zone an allocation may take from, and what it leaves there (``get_page_from_freelist()``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.buddy import MAX_ORDER, MIGRATE_HIGHATOMIC, MIGRATE_PCPTYPES, PAGEBLOCK_NR_PAGES
from kmock.mm.gfp import __GFP_KSWAPD_RECLAIM as GFP_KSWAPD_RECLAIM
from kmock.mm.gfp import __GFP_NOFAIL as GFP_NOFAIL
from kmock.mm.pcp import PAGE_ALLOC_COSTLY_ORDER, PerCpuPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.mm.alloc_context import AllocContext
    from kmock.mm.zones import Zone

# mm/internal.h
ALLOC_WMARK_MIN: Final = 0
ALLOC_WMARK_LOW: Final = 1
ALLOC_WMARK_HIGH: Final = 2
ALLOC_WMARK_MASK: Final = 3
ALLOC_NO_WATERMARKS: Final = 0x04
ALLOC_OOM: Final = 0x08
ALLOC_NON_BLOCK: Final = 0x10
ALLOC_MIN_RESERVE: Final = 0x20
ALLOC_NOFRAGMENT: Final = 0x100
ALLOC_HIGHATOMIC: Final = 0x200
ALLOC_KSWAPD: Final = GFP_KSWAPD_RECLAIM
ALLOC_RESERVES: Final = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM


def watermark_ok(zone: Zone, order: int, mark: int, highest: int, flags: int, free: int) -> bool:
    """``__zone_watermark_ok()``: whether a zone with ``free`` pages may give ``1 << order`` of them away."""
    free -= (1 << order) - 1
    least = mark
    if flags & ALLOC_RESERVES:
        if flags & ALLOC_MIN_RESERVE:
            least -= least // 2
            if flags & ALLOC_NON_BLOCK:
                least -= least // 4
        if flags & ALLOC_OOM:
            least -= least // 2
    else:
        free -= zone.nr_reserved_highatomic
    if free <= least + zone.lowmem_reserve[highest]:
        return False
    if not order:
        return True
    types = MIGRATE_PCPTYPES + bool(flags & (ALLOC_HIGHATOMIC | ALLOC_OOM))
    return any(zone.has_free(o, t) for o in range(order, MAX_ORDER) for t in range(types))


class FreeLists:
    """Takes pages from zones and gives them back, by way of the processors' lists."""

    __slots__ = ("accept_free", "accept_new", "accept_refill", "kernel", "nodes")

    def __init__(
        self,
        kernel: Kernel,
        nodes: int,
        accept_new: Callable[[int, int], bool],
        accept_refill: Callable[[int, int], bool],
        accept_free: Callable[[int], bool],
    ) -> None:
        self.kernel = kernel
        self.nodes = nodes
        # Whether a block is fit: to be handed out, to go to a processor's list, to come back from one.
        self.accept_new = accept_new
        self.accept_refill = accept_refill
        self.accept_free = accept_free

    def get(self, gfp: int, order: int, flags: int, ac: AllocContext) -> int:
        """Return the first page frame of a block, -1 if no zone may give one."""
        nofragment = flags & ALLOC_NOFRAGMENT
        for zone in ac.zones:
            if nofragment and self.nodes > 1 and zone.nid != ac.zones[0].nid:
                break
            if not flags & ALLOC_NO_WATERMARKS:
                mark = zone.watermark[flags & ALLOC_WMARK_MASK]
                if not watermark_ok(zone, order, mark, ac.highest, flags, zone.vm_free):
                    continue
            pfn = self._rmqueue(zone, order, gfp, flags, ac.migratetype)
            if pfn >= 0:
                if flags & ALLOC_HIGHATOMIC:
                    reserve_highatomic(zone, pfn)
                return pfn
        return self.get(gfp, order, flags & ~ALLOC_NOFRAGMENT, ac) if nofragment else -1

    def quick(self, ac: AllocContext, cpu: int) -> int:
        """Return a page frame from the processor's list for the first zone, -1 if that takes more than a look."""
        zone = ac.first
        if zone is None or (pcp := zone.pcp.get(cpu)) is None:
            return -1
        lst = pcp.lists[ac.migratetype]
        if not lst or zone.vm_free <= zone.watermark[1] + zone.lowmem_reserve[ac.highest] + zone.nr_reserved_highatomic:
            return -1
        if not self.accept_new(lst[-1], 0):
            lst.pop()
            pcp.count -= 1
            return -1
        pcp.count -= 1
        pcp.free_factor >>= 1
        return lst.pop()

    def pcp(self, zone: Zone) -> PerCpuPages:
        """Return this processor's lists for a zone."""
        cpu = self.kernel.cpu.id
        found = zone.pcp.get(cpu)
        if found is None:
            found = zone.pcp[cpu] = PerCpuPages(zone, self.accept_refill)
        return found

    def _rmqueue(self, zone: Zone, order: int, gfp: int, flags: int, migratetype: int) -> int:
        if gfp & GFP_NOFAIL and order > 1:
            self.kernel.warn("gfp-nofail-misuse", "mm/page_alloc.c:3891", "rmqueue", key=order)
        nofragment = bool(flags & ALLOC_NOFRAGMENT)
        if order <= PAGE_ALLOC_COSTLY_ORDER:
            pcp = self.pcp(zone)
            while (pfn := pcp.take(order, migratetype, nofragment)) >= 0:
                if self.accept_new(pfn, order):
                    return pfn
        return self._rmqueue_buddy(zone, order, flags, migratetype)

    def _rmqueue_buddy(self, zone: Zone, order: int, flags: int, migratetype: int) -> int:
        while True:
            pfn = zone.smallest(order, MIGRATE_HIGHATOMIC) if flags & ALLOC_HIGHATOMIC else -1
            if pfn < 0:
                pfn = zone.rmqueue(order, migratetype, nofragment=bool(flags & ALLOC_NOFRAGMENT))
            if pfn < 0 and flags & (ALLOC_OOM | ALLOC_NON_BLOCK):
                pfn = zone.smallest(order, MIGRATE_HIGHATOMIC)
            if pfn < 0:
                return -1
            self.pcp(zone).count_free(-(1 << order))
            if self.accept_refill(pfn, order) and self.accept_new(pfn, order):
                return pfn

    def put(self, zone: Zone, pfn: int, order: int) -> None:
        """Give back a block: order 0 to 3 to this processor's lists, larger ones to the zone."""
        migratetype = zone.pageblock_type(pfn)
        if order <= PAGE_ALLOC_COSTLY_ORDER:
            self.pcp(zone).put(pfn, order, migratetype, self.accept_free)
        else:
            self.put_buddy(zone, pfn, order)

    def put_buddy(self, zone: Zone, pfn: int, order: int, *, tail: bool = False) -> None:
        """Give a block straight back to the zone; with ``tail`` it is the last to be used again."""
        zone.free_one(pfn, order, zone.pageblock_type(pfn), tail=tail)
        self.pcp(zone).count_free(1 << order)

    def drain(self, zones: tuple[Zone, ...]) -> None:
        """``drain_all_pages()``: empty every processor's lists for the zones."""
        for zone in zones:
            for pcp in zone.pcp.values():
                pcp.drain(pcp.count, self.accept_free)


def reserve_highatomic(zone: Zone, pfn: int) -> None:
    """``reserve_highatomic_pageblock()``: keep the pageblock of a high-order atomic allocation for its like."""
    if zone.nr_reserved_highatomic >= zone.managed_pages // 100 + PAGEBLOCK_NR_PAGES:
        return
    if zone.pageblock_type(pfn) < MIGRATE_PCPTYPES:
        zone.nr_reserved_highatomic += PAGEBLOCK_NR_PAGES
        zone.set_pageblock_type(pfn, MIGRATE_HIGHATOMIC)
        zone.move_pageblock(pfn, MIGRATE_HIGHATOMIC)


def unreserve_highatomic(ac: AllocContext, *, force: bool) -> bool:
    """``unreserve_highatomic_pageblock()``: give a reserved pageblock to everybody; whether there was one."""
    for zone in ac.zones:
        if not force and zone.nr_reserved_highatomic <= PAGEBLOCK_NR_PAGES:
            continue
        pfn = next(
            (zone.first_free(o, MIGRATE_HIGHATOMIC) for o in range(MAX_ORDER) if zone.has_free(o, MIGRATE_HIGHATOMIC)),
            -1,
        )
        if pfn >= 0:
            zone.nr_reserved_highatomic -= min(PAGEBLOCK_NR_PAGES, zone.nr_reserved_highatomic)
            zone.set_pageblock_type(pfn, ac.migratetype)
            return bool(zone.move_pageblock(pfn, ac.migratetype))
    return False
