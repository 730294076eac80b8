"""Per-CPU page lists: a few free pages of each zone at every processor's hand (``struct per_cpu_pages``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.buddy import MIGRATE_MOVABLE, MIGRATE_PCPTYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.mm.zones import Zone

PAGE_ALLOC_COSTLY_ORDER: Final = 3
NR_PCP_LISTS: Final = MIGRATE_PCPTYPES * (PAGE_ALLOC_COSTLY_ORDER + 1)
PCP_BATCH_SCALE_MAX: Final = 5


class PerCpuPages:
    """One processor's lists for one zone. A list holds page frame numbers; its last entry is used first."""

    __slots__ = ("accept_refill", "count", "free_factor", "lists", "stat_diff", "zone")

    def __init__(self, zone: Zone, accept_refill: Callable[[int, int], bool]) -> None:
        self.zone = zone
        self.accept_refill = accept_refill
        self.lists: list[list[int]] = [[] for _ in range(NR_PCP_LISTS)]
        self.count = 0
        """Pages on all lists."""
        self.free_factor = 0
        """Grows while pages are freed and none allocated: lists are then emptied in larger steps."""
        self.stat_diff = 0
        """Change of the zone's free pages that its counter does not show yet."""

    def count_free(self, delta: int) -> None:
        """``__mod_zone_page_state(NR_FREE_PAGES)``: drift up to the threshold, then add up."""
        zone = self.zone
        x = self.stat_diff + delta
        if abs(x) > zone.stat_threshold:
            zone.vm_free += x
            x = 0
        self.stat_diff = x

    def take(self, order: int, migratetype: int, nofragment: bool) -> int:
        """Return the first page frame of ``1 << order`` pages, -1 if the zone has none."""
        self.free_factor >>= 1
        lst = self.lists[MIGRATE_PCPTYPES * order + migratetype]
        if not lst and not self._refill(lst, order, migratetype, nofragment):
            return -1
        self.count -= 1 << order
        return lst.pop()

    def _refill(self, lst: list[int], order: int, migratetype: int, nofragment: bool) -> bool:
        zone = self.zone
        batch = zone.pcp_batch
        if batch > 1:
            batch = max(batch >> order, 2)
        got = []
        for _ in range(batch):
            pfn = zone.rmqueue(order, migratetype, nofragment=nofragment)
            if pfn < 0:
                break
            got.append(pfn)
        self.count_free(-(len(got) << order))
        fit = [pfn for pfn in reversed(got) if self.accept_refill(pfn, order)]
        lst += fit
        self.count += len(fit) << order
        return bool(fit)

    def put(self, pfn: int, order: int, migratetype: int, accept: Callable[[int], bool]) -> None:
        """``free_unref_page_commit()``: put free pages back, and empty the lists where they grew too long."""
        pindex = MIGRATE_PCPTYPES * order + (migratetype if migratetype < MIGRATE_PCPTYPES else MIGRATE_MOVABLE)
        self.lists[pindex].append(pfn)
        self.count += 1 << order
        zone = self.zone
        free_high = bool(self.free_factor and order)
        high = 0 if free_high else zone.pcp_high
        if zone.reclaim_active:
            high = min(zone.pcp_batch << 2, high)
        if self.count >= high:
            self.drain(self._how_many(high, free_high=free_high), accept, pindex)

    def _how_many(self, high: int, *, free_high: bool) -> int:
        batch = self.zone.pcp_batch
        if free_high:
            return self.count
        if high < batch:
            return 1
        most = high - batch
        n = batch << self.free_factor
        if n < most and self.free_factor < PCP_BATCH_SCALE_MAX:
            self.free_factor += 1
        return max(min(n, most), batch)

    def drain(self, n: int, accept: Callable[[int], bool], pindex: int = 0) -> None:
        """Give at least ``n`` pages back to the zone, list after list from ``pindex`` on, oldest first.

        ``accept`` says of a page frame whether it is fit for the free lists.
        """
        n = min(n, self.count)
        zone = self.zone
        while n > 0:
            lst = self.lists[pindex]
            order = pindex // MIGRATE_PCPTYPES
            while n > 0 and lst:
                pfn = lst.pop(0)
                n -= 1 << order
                self.count -= 1 << order
                if accept(pfn):
                    zone.free_one(pfn, order, zone.pageblock_type(pfn))
                    self.count_free(1 << order)
            pindex = (pindex + 1) % NR_PCP_LISTS
