"""``/proc/buddyinfo``, ``pagetypeinfo``, ``zoneinfo`` and ``vmstat`` (``mm/vmstat.c``), field by field.

A kernel without swap, huge pages and NUMA balancing is what they are of. What is not modelled counts 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.buddy import MAX_ORDER, MIGRATE_NAMES, MIGRATE_TYPES, PAGEBLOCK_NR_PAGES, PAGEBLOCK_ORDER
from kmock.mm.memblock_type import MAX_NUMNODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.mm.zones import Zone

ZONE_STATS: Final = [
    "nr_free_pages",
    "nr_zone_inactive_anon",
    "nr_zone_active_anon",
    "nr_zone_inactive_file",
    "nr_zone_active_file",
    "nr_zone_unevictable",
    "nr_zone_write_pending",
    "nr_mlock",
    "nr_bounce",
    "nr_free_cma",
]
NUMA_EVENTS: Final = ["numa_hit", "numa_miss", "numa_foreign", "numa_interleave", "numa_local", "numa_other"]
NODE_STATS: Final = [
    "nr_inactive_anon",
    "nr_active_anon",
    "nr_inactive_file",
    "nr_active_file",
    "nr_unevictable",
    "nr_slab_reclaimable",
    "nr_slab_unreclaimable",
    "nr_isolated_anon",
    "nr_isolated_file",
    "workingset_nodes",
    "workingset_refault_anon",
    "workingset_refault_file",
    "workingset_activate_anon",
    "workingset_activate_file",
    "workingset_restore_anon",
    "workingset_restore_file",
    "workingset_nodereclaim",
    "nr_anon_pages",
    "nr_mapped",
    "nr_file_pages",
    "nr_dirty",
    "nr_writeback",
    "nr_writeback_temp",
    "nr_shmem",
    "nr_shmem_hugepages",
    "nr_shmem_pmdmapped",
    "nr_file_hugepages",
    "nr_file_pmdmapped",
    "nr_anon_transparent_hugepages",
    "nr_vmscan_write",
    "nr_vmscan_immediate_reclaim",
    "nr_dirtied",
    "nr_written",
    "nr_throttled_written",
    "nr_kernel_misc_reclaimable",
    "nr_foll_pin_acquired",
    "nr_foll_pin_released",
    "nr_kernel_stack",
    "nr_page_table_pages",
    "nr_sec_page_table_pages",
]
ALL_NODES: Final = MAX_NUMNODES


def node_stats(k: Kernel, nid: int) -> dict[str, int]:
    """Return the counters of a node, or of all: pages, but kB for the kernel's stacks."""
    reclaimable, others = k.slab.pages(nid) if "slab" in vars(k) else (0, 0)
    stacks = k.stacks.pages(nid) if "stacks" in vars(k) else 0
    counted = {"nr_slab_reclaimable": reclaimable, "nr_slab_unreclaimable": others, "nr_kernel_stack": stacks << 2}
    return dict.fromkeys(NODE_STATS, 0) | counted


def zone_stats(zone: Zone) -> dict[str, int]:
    """Return the counters of a zone, in pages."""
    return dict.fromkeys(ZONE_STATS, 0) | {"nr_free_pages": zone.buddy_pages}


def buddyinfo(k: Kernel) -> str:
    """``/proc/buddyinfo``: free blocks by order."""
    lines = (
        f"Node {zone.nid}, zone {zone.name:>8} " + "".join(f"{n:6d} " for n in zone.free_area)
        for zone in k.page_alloc.zones.all
    )
    return "\n".join(lines) + "\n"


def pagetypeinfo(k: Kernel) -> str:
    """``/proc/pagetypeinfo``: of each node, free blocks by migrate type and order, and pageblocks by migrate type."""
    return "".join(line + "\n" for node in k.page_alloc.zones.nodes if node for line in _pagetypes([*node.values()]))


def _pagetypes(zones: list[Zone]) -> Iterator[str]:
    yield f"Page block order: {PAGEBLOCK_ORDER}"
    yield f"Pages per block:  {PAGEBLOCK_NR_PAGES}"
    yield ""
    orders = "".join(f"{order:6d} " for order in range(MAX_ORDER))
    yield f"{'Free pages count per migrate type at order':<43} {orders}"
    for zone in zones:
        for migratetype, name in enumerate(MIGRATE_NAMES):
            counts = "".join(f"{n:6d} " for n in zone.free_by_type(migratetype))
            yield f"Node {zone.nid:4d}, zone {zone.name:>8}, type {name:>12} {counts}"
    yield ""
    yield f"{'Number of blocks type ':<23}" + "".join(f"{name:>12} " for name in MIGRATE_NAMES)
    for zone in zones:
        counts = "".join(f"{n:12d} " for n in blocks_by_type(zone))
        yield f"Node {zone.nid}, zone {zone.name:>8} {counts}"


def blocks_by_type(zone: Zone) -> list[int]:
    """Return how many pageblocks of a zone there are of each migrate type."""
    low, high = zone.span
    counts = [0] * MIGRATE_TYPES
    for pfn in range(low, high, PAGEBLOCK_NR_PAGES):
        counts[zone.pageblock_type(pfn)] += 1
    return counts


def zoneinfo(k: Kernel) -> str:
    """``/proc/zoneinfo``: sizes, watermarks, counters and processors' lists of every zone, empty ones too."""
    return "".join(line + "\n" for nid in range(len(k.page_alloc.zones.nodes)) for line in _node(k, nid))


def _node(k: Kernel, nid: int) -> Iterator[str]:
    zones = k.page_alloc.zones
    first = min(zones.nodes[nid], default=-1)
    for idx, name in enumerate(zones.names):
        yield f"Node {nid}, zone {name:>8}"
        if idx == first:
            yield "  per-node stats"
            yield from (f"      {stat:<12} {value}" for stat, value in node_stats(k, nid).items())
        zone = zones.nodes[nid].get(idx)
        if zone is not None:
            yield from _populated(k, zone)
        else:
            yield from _sizes(0, (0, 0, 0, 0), (0, 0, 0), (0,) * len(zones.names))


def _sizes(
    free: int, watermark: tuple[int, ...], pages: tuple[int, int, int], protection: tuple[int, ...]
) -> Iterator[str]:
    yield f"  pages free     {free}"
    fields = zip(("boost", "min", "low", "high"), (0, *watermark), strict=False)
    sizes = zip(("spanned", "present", "managed", "cma"), (*pages, 0), strict=True)
    yield from (f"        {name:<8} {value}" for name, value in (*fields, *sizes))
    yield f"        protection: ({', '.join(map(str, protection))})"


def _populated(k: Kernel, zone: Zone) -> Iterator[str]:
    sizes = zone.spanned_pages, zone.present_pages, zone.managed_pages
    yield from _sizes(zone.buddy_pages, zone.watermark, sizes, zone.lowmem_reserve)
    counters = zone_stats(zone) | dict.fromkeys(NUMA_EVENTS, 0)
    yield from (f"      {name:<12} {value}" for name, value in counters.items())
    yield "  pagesets"
    for cpu in range(len(k.cpus)):
        pcp = zone.pcp.get(cpu)
        yield f"    cpu: {cpu}"
        yield f"              count: {pcp.count if pcp is not None else 0}"
        yield f"              high:  {zone.pcp_high}"
        yield f"              batch: {zone.pcp_batch}"
        yield f"  vm stats threshold: {zone.stat_threshold}"
    yield "  node_unreclaimable:  0"
    yield f"  start_pfn:           {zone.zone_start_pfn}"


def vmstat(k: Kernel) -> str:
    """``/proc/vmstat``: the counters of all zones and of all nodes, one a line."""
    zones = [zone_stats(zone) for zone in k.page_alloc.zones.all]
    counters = {name: sum(zone[name] for zone in zones) for name in ZONE_STATS}
    counters |= dict.fromkeys(NUMA_EVENTS, 0) | node_stats(k, ALL_NODES) | {"nr_unstable": 0}
    return "".join(f"{name} {value}\n" for name, value in counters.items())
