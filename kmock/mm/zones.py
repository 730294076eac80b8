"""Nodes and zones: where memory lies, how much of it the page allocator gets, and what it keeps in reserve.

The formulas are those of ``mm/page_alloc.c`` and ``mm/vmstat.c`` as pure functions of sizes in pages. Their results
are remembered: a test suite boots the same few machines a thousand times.
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.mm.buddy import Buddy
from kmock.mm.zone_layout import ZONE_NAMES, ZonePlan, plan_boot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kmock.config import KernelConfig
    from kmock.mm.layout import Layout
    from kmock.mm.pcp import PerCpuPages
    from kmock.mm.zone_layout import Range

LOWMEM_RESERVE_RATIO: Final = {64: (256, 256, 32, 0), 32: (256, 32, 0, 0)}

# -- formulas -------------------------------------------------------------------------------------------------


class Watermarks(NamedTuple):
    """Free pages of a zone below which something happens."""

    min: int
    low: int
    high: int
    promo: int


def min_free_kbytes_of(lowmem_pages: int) -> int:
    """``calculate_min_free_kbytes()``: what ``vm.min_free_kbytes`` is at boot."""
    return min(max(isqrt(lowmem_pages * 4 * 16), 128), 262144)


@lru_cache
def watermarks_of(
    managed: int, lowmem_pages: int, min_free_kbytes: int, scale_factor: int = 10, *, highmem: bool = False
) -> Watermarks:
    """``__setup_per_zone_wmarks()`` for a zone of ``managed`` pages, out of ``lowmem_pages`` in all."""
    share = (min_free_kbytes >> 2) * managed // lowmem_pages
    low = min(max(managed // 1024, 32), 128) if highmem else share
    step = max(share >> 2, managed * scale_factor // 10000)
    return Watermarks(low, low + step, low + 2 * step, low + 3 * step)


@lru_cache
def lowmem_reserve_of(managed: tuple[int, ...], ratio: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """``setup_per_zone_lowmem_reserve()`` for the zones of one node, lowest first.

    ``result[i][j]`` pages of zone i are kept from requests that could have used zone j.
    """
    table = []
    for i, own in enumerate(managed):
        above = [sum(managed[i + 1 : j + 1]) for j in range(len(managed))]
        usable = ratio[i] if own else 0
        table.append(tuple(pages // usable if usable and j > i else 0 for j, pages in enumerate(above)))
    return tuple(table)


@lru_cache
def pcp_batch_of(managed: int) -> int:
    """``zone_batchsize()``: pages that move between a zone and a processor's list at once, 2^n - 1."""
    batch = max(min(managed >> 10, 256) // 4, 1)
    return max((1 << (batch + batch // 2).bit_length() - 1) - 1, 1)


def pcp_high_of(low_watermark: int, cpus: int, batch: int) -> int:
    """``zone_highsize()``: pages at which a processor's list is too long."""
    return max(low_watermark // cpus, batch << 2)


@lru_cache
def stat_threshold_of(managed: int, cpus: int) -> int:
    """``calculate_normal_threshold()``: how far a processor's counter may drift before it is added up."""
    return min(2 * cpus.bit_length() * (1 + (managed >> 15).bit_length()), 125)


# -- zones ------------------------------------------------------------------------------------------------------


class Zone(Buddy):
    """``struct zone``: a range of page frames of one node that are alike in who can address them."""

    __slots__ = (
        "cpus",
        "idx",
        "lowmem_reserve",
        "managed_pages",
        "name",
        "nid",
        "nr_reserved_highatomic",
        "pcp",
        "pcp_batch",
        "pcp_high",
        "present_pages",
        "reclaim_active",
        "spanned_pages",
        "stat_threshold",
        "vm_free",
        "watermark",
        "zone_start_pfn",
    )

    def __init__(self, plan: ZonePlan, name: str) -> None:
        super().__init__(plan.managed, plan.span)
        self.idx = plan.idx
        self.name = name
        self.nid = plan.nid
        self.zone_start_pfn, end = plan.span
        self.spanned_pages = end - self.zone_start_pfn
        self.present_pages = plan.present_pages
        self.managed_pages = plan.managed_pages
        self.vm_free = self.managed_pages
        """The free pages that watermark checks see: per-cpu differences are added up late (NR_FREE_PAGES)."""
        self.watermark = Watermarks(0, 0, 0, 0)
        self.lowmem_reserve: tuple[int, ...] = ()
        self.nr_reserved_highatomic = 0
        self.pcp: dict[int, PerCpuPages] = {}
        self.pcp_batch = pcp_batch_of(self.managed_pages)
        self.pcp_high = 0
        self.cpus = 1
        self.stat_threshold = 0
        self.reclaim_active = False

    def grow(self, start: int, end: int) -> None:
        """Take in page frames that were no part of any zone."""
        super().grow(start, end)
        pages = end - start
        self.zone_start_pfn = self.span[0]
        self.spanned_pages = self.span[1] - self.span[0]
        self.present_pages += pages
        self.managed_pages += pages
        self.vm_free += pages
        self.pcp_batch = pcp_batch_of(self.managed_pages)

    @property
    def free_pcp(self) -> int:
        """Pages on processors' lists."""
        return sum(pcp.count for pcp in self.pcp.values())

    def __repr__(self) -> str:
        return f"<zone node{self.nid} {self.name}>"


class Tunables:
    """``/proc/sys/vm`` as far as it sizes reserves."""

    __slots__ = ("lowmem_reserve_ratio", "min_free_kbytes", "watermark_scale_factor")

    def __init__(self, min_free_kbytes: int, ratio: Sequence[int]) -> None:
        self.min_free_kbytes = min_free_kbytes
        self.watermark_scale_factor = 10
        self.lowmem_reserve_ratio = tuple(ratio)


class Zones:
    """All zones of a machine, and in which order an allocation looks through them."""

    def __init__(self, config: KernelConfig, layout: Layout, plans: Sequence[ZonePlan] | None = None) -> None:
        self.config = config
        self.names = ZONE_NAMES[layout.bits]
        self.highmem_idx = self.names.index("HighMem") if layout.bits == 32 else -1
        # Without plans of their own all machines of a kind have the same.
        if plans is None:
            plans = plan_boot(layout, config.reported_ranges(), config.movable)
        self.nodes: list[dict[int, Zone]] = [{} for _ in config.topology]
        for plan in plans:
            self.nodes[plan.nid][plan.idx] = Zone(plan, self.names[plan.idx])
        self.all = [zone for node in self.nodes for zone in node.values()]
        self._spans = sorted((*r, zone) for zone, plan in zip(self.all, plans, strict=True) for r in plan.present)
        self._orders: dict[int, list[int]] = {}
        self.node_load = [0] * len(self.nodes)
        """How many nodes each node was the first choice of, among those that are equally far."""
        for zone in self.all:
            zone.cpus = len(config.topology[zone.nid].cpus) or config.cpus
            zone.stat_threshold = stat_threshold_of(zone.managed_pages, config.cpus)
        self.late = {zone: plan.late for zone, plan in zip(self.all, plans, strict=True)}
        """Pages of each zone that were not free yet when boot computed the reserves."""
        lowmem = self.lowmem_pages - sum(self.late.values())
        self.tunables = Tunables(min_free_kbytes_of(lowmem), LOWMEM_RESERVE_RATIO[layout.bits])
        seen = {zone: zone.managed_pages - pages for zone, pages in self.late.items()}
        self.setup_watermarks(seen)
        self.setup_lowmem_reserve(seen)

    # -- sizes ----------------------------------------------------------------------------------

    @property
    def lowmem_pages(self) -> int:
        """Managed pages outside of highmem."""
        return sum(zone.managed_pages for zone in self.all if zone.idx != self.highmem_idx)

    def setup_watermarks(self, seen: Mapping[Zone, int] | None = None) -> None:
        """``setup_per_zone_wmarks()``: watermarks, and the bounds of processors' lists that follow from them."""
        managed = seen or {zone: zone.managed_pages for zone in self.all}
        lowmem = sum(pages for zone, pages in managed.items() if zone.idx != self.highmem_idx)
        knobs = self.tunables
        for zone, pages in managed.items():
            zone.watermark = watermarks_of(
                pages, lowmem, knobs.min_free_kbytes, knobs.watermark_scale_factor, highmem=zone.idx == self.highmem_idx
            )
            zone.pcp_high = pcp_high_of(zone.watermark.low, zone.cpus, zone.pcp_batch)

    def setup_lowmem_reserve(self, seen: Mapping[Zone, int] | None = None) -> None:
        """``setup_per_zone_lowmem_reserve()``."""
        managed = seen or {zone: zone.managed_pages for zone in self.all}
        for node in self.nodes:
            sizes = tuple(managed[node[i]] if i in node else 0 for i in range(len(self.names)))
            table = lowmem_reserve_of(sizes, self.tunables.lowmem_reserve_ratio)
            for idx, zone in node.items():
                zone.lowmem_reserve = table[idx]

    def add_pages(self, nid: int, idx: int, added: Range) -> None:
        """Give page frames to a zone, which may be a new one, and compute all reserves anew."""
        zone = self.nodes[nid].get(idx)
        pages = added[1] - added[0]
        if zone is None:
            zone = Zone(ZonePlan(idx, nid, added, (added,), (added,), 0, pages, pages), self.names[idx])
            self.nodes[nid] = dict(sorted({**self.nodes[nid], idx: zone}.items()))
            self.all = [zone for node in self.nodes for zone in node.values()]
            zone.cpus = len(self.config.topology[nid].cpus) or self.config.cpus
        else:
            zone.grow(*added)
        zone.stat_threshold = stat_threshold_of(zone.managed_pages, self.config.cpus)
        self._spans = sorted([*self._spans, (*added, zone)], key=lambda span: span[:2])
        self._orders.clear()
        self.node_load = [0] * len(self.nodes)
        self.tunables.min_free_kbytes = max(self.tunables.min_free_kbytes, min_free_kbytes_of(self.lowmem_pages))
        self.setup_watermarks()
        self.setup_lowmem_reserve()

    # -- finding --------------------------------------------------------------------------------

    def zone_of(self, pfn: int) -> Zone | None:
        """Return the zone that a page frame lies in; None where there is no memory."""
        for start, end, zone in self._spans:
            if start <= pfn < end:
                return zone
        return None

    def zone(self, name: str, nid: int = 0) -> Zone:
        """Return a node's zone by its name in /proc/zoneinfo; KeyError if the node has none."""
        return self.nodes[nid][self.names.index(name)]

    def node_order(self, nid: int) -> list[int]:
        """Return the nodes in which an allocation for ``nid`` looks for memory, nearest first.

        As ``build_zonelists()`` does for one node after the other: at the same distance a node that
        was first choice of fewer nodes comes first.
        """
        if nid not in self._orders:
            for local in range(len(self.nodes)):
                self._orders[local] = self._one_order(local)
        return self._orders[nid]

    def _one_order(self, local: int) -> list[int]:
        distance = self.config.distance
        order: list[int] = []
        used: set[int] = set()
        previous = local
        while (node := self.next_best_node(local, used)) >= 0:
            if distance(local, node) != distance(local, previous):
                self.node_load[node] += 1
            order.append(node)
            previous = node
        return order

    def next_best_node(self, local: int, used: set[int]) -> int:
        """``find_next_best_node()``: return the nearest node not yet ``used``, which it is then; -1 for none.

        The node itself comes first, whether it has memory or not.
        """
        config = self.config

        def cost(n: int) -> tuple[int, int, int]:
            busy = bool(config.topology[n].cpus)
            return config.distance(local, n) + (n < local) + busy, self.node_load[n], n

        left = [n for n, zones in enumerate(self.nodes) if zones and n not in used]
        best = local if local not in used else min(left, key=cost, default=-1)
        if best >= 0:
            used.add(best)
        return best

    def zonelist(self, nid: int, highest: int, *, thisnode: bool) -> tuple[Zone, ...]:
        """Return the zones that an allocation may use, in the order in which it tries them."""
        nodes = [nid] if thisnode else self.node_order(nid)
        return tuple(
            zone for n in nodes for _, zone in sorted(self.nodes[n].items(), reverse=True) if zone.idx <= highest
        )
