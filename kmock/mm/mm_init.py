"""Which page frames belong to which node, and the zones made of them (``mm/page_alloc.c``, ``mm/mm_init.c``).

Early boot registers ranges of page frames as memory of a node ("active ranges"); free_area_init_nodes() makes zones of them.
Since 3.3 the ranges are memblock's own, and so they are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.buddy import PAGEBLOCK_NR_PAGES
from kmock.mm.layout import PAGE_SHIFT
from kmock.mm.memblock_type import MAX_NUMNODES
from kmock.mm.zone_layout import SECTION_PAGES, ZONE_NAMES, memory_of, movable_starts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmock.mm.boot_memory import BootMemory
    from kmock.mm.zone_layout import Range, ZonePlan

_ULONG: Final = (1 << 64) - 1


# -- active ranges ------------------------------------------------------------------------------------------------


def add_range(boot: BootMemory, nid: int, start: int, end: int) -> None:
    """``add_active_range()``: page frames [start, end) are memory of a node; what another node has stays its own."""
    memory = boot.at_boot("add_active_range").memory
    others = [r for r in boot.memblock.pfn_ranges() if r.nid not in (nid, MAX_NUMNODES)]
    if start >= end:
        boot.report("bootmem-bad-range", [f"add_active_range({nid}, {start}, {end}) of no page frame"])
        return
    if any(r.start < end and start < r.end for r in others):
        boot.report("bootmem-bad-range", [f"some of [{start}, {end}) is memory of another node than {nid}"])
    if memory.add(start << PAGE_SHIFT, end - start << PAGE_SHIFT, nid):
        boot.kernel.log.write(f"More than {memory.max} memory regions, truncating")


def remove_range(boot: BootMemory, call: str, nid: int, start: int, end: int) -> None:
    """``remove_active_range()``: page frames [start, end) are no memory of the node any more."""
    memory = boot.at_boot(call).memory
    boot.kernel.log.write(f"{call} ({nid}, {start}, {end})")
    for row in [r for r in boot.memblock.pfn_ranges(nid) if r.start < end and start < r.end]:
        low, high = max(row.start, start), min(row.end, end)
        memory.remove(low << PAGE_SHIFT, high - low << PAGE_SHIFT)


def pfn_range(boot: BootMemory, nid: int) -> Range:
    """``get_pfn_range_for_nid()``: the first page frame and that behind the last, holes included; (0, 0) for none."""
    ranges = [*boot.memblock.pfn_ranges(nid)]
    return min((r.start for r in ranges), default=0), max((r.end for r in ranges), default=0)


def absent_pages(boot: BootMemory, start: int, end: int) -> int:
    """``absent_pages_in_range()``: how many page frames of [start, end) are no memory."""
    if start > end:
        boot.report("bootmem-bad-range", [f"absent_pages_in_range({start}, {end}): the range ends before it begins"])
    there = sum(max(min(r.end, end) - max(r.start, start), 0) for r in boot.memblock.pfn_ranges())
    return end - start - there & _ULONG


def lowest_pfn(boot: BootMemory) -> int:
    """``find_min_pfn_with_active_regions()``: the first page frame of memory; 0, with a warning, if there is none."""
    lowest = min((r.start for r in boot.memblock.pfn_ranges()), default=None)
    if lowest is None:
        boot.kernel.log.write(f"Could not find start_pfn for node {MAX_NUMNODES}")
    return lowest or 0


def sections_of(boot: BootMemory, nid: int) -> set[int]:
    """Return the numbers of the sections that the node has memory in."""
    ranges = boot.memblock.pfn_ranges(nid)
    return {s for r in ranges for s in range(r.start // SECTION_PAGES, -(-r.end // SECTION_PAGES))}


# -- zones --------------------------------------------------------------------------------------------------------


def init_zones(boot: BootMemory, max_zone_pfn: Sequence[int], call: str) -> None:
    """``free_area_init()``: zones end at these page frames, lowest first, each beginning where the last ends."""
    boot.at_boot(call)
    k = boot.kernel
    names = ZONE_NAMES[k.layout.bits]
    ends = [0]
    for end in max_zone_pfn[: len(names) - 1]:
        if 0 < end < ends[-1]:
            boot.report("bootmem-bad-range", [f"zone ends {[*max_zone_pfn]} do not ascend: a zone is empty"])
        ends.append(max(end, ends[-1]))
    if not boot.early:
        return
    if boot.zones_made:
        boot.report("bootmem-late", [f"{call}() a second time"], key=call)
    if not boot.memblock.memory:
        boot.report("bootmem-bad-range", [f"{call}() before any memory is registered"])
    boot.bounds = ends
    boot.zones_made = True
    k.log.write_all(boot_lines(boot, names))


def boot_lines(boot: BootMemory, names: Sequence[str]) -> Iterator[str]:
    """Yield what ``free_area_init()`` prints: zones, nodes, and holes in them."""
    plans = boot.lay_out()
    nodes = memory_of(boot.memblock, len(boot.kernel.config.topology))
    lowest = min((a for node in nodes for a, _ in node), default=0)
    yield "Zone ranges:"
    for idx, (low, high) in enumerate(zip(boot.bounds, boot.bounds[1:], strict=False)):
        low, high = max(low, lowest), max(high, lowest)
        yield f"  {names[idx]:<8} " + (mem(low, high) if low < high else "empty")
    yield "Movable zone start for each node"
    for nid, start in enumerate(starts_of(boot, nodes)):
        if start:
            yield f"  Node {nid}: {start << PAGE_SHIFT:#018x}"
    yield "Early memory node ranges"
    for start, end, nid in boot.memblock.pfn_ranges():
        yield f"  node {nid:3d}: {mem(start, end)}"
    for nid, node in enumerate(nodes):
        span = f"node {nid} {mem(node[0][0], node[-1][1])}" if node else f"node {nid} as memoryless"
        yield f"Initmem setup {span}"
    yield from _holes(nodes, plans, names, sections_of(boot, MAX_NUMNODES))


def mem(start: int, end: int) -> str:
    """Return how the log shows a range of page frames, as bytes."""
    return f"[mem {start << PAGE_SHIFT:#018x}-{(end << PAGE_SHIFT) - 1:#018x}]"


def starts_of(boot: BootMemory, nodes: Sequence[Sequence[Range]]) -> list[int]:
    """Return where ZONE_MOVABLE begins in each node; 0 for nowhere."""
    end = max((b for node in nodes for _, b in node), default=0)
    lowest = max((low for low in boot.bounds[:-1] if low < end), default=0)
    return movable_starts(nodes, boot.kernel.config.movable >> PAGE_SHIFT, lowest)


def _holes(
    nodes: Sequence[Sequence[Range]], plans: Sequence[ZonePlan], names: Sequence[str], sections: set[int]
) -> Iterator[str]:
    """``memmap_init()``: page frames that have a ``struct page`` and no memory, before each range and after the last."""
    at, last = 0, None
    for nid, start, end in sorted(((nid, a, b) for nid, node in enumerate(nodes) for a, b in node), key=lambda r: r[1]):
        for plan in plans:
            low, high = max(plan.span[0], start), min(plan.span[1], end)
            if plan.nid != nid or low >= high:
                continue
            if lost := _unavailable(at, low, sections):
                yield f"On node {nid}, zone {names[plan.idx]}: {lost} pages in unavailable ranges"
            at, last = high, plan
    if last is not None and (lost := _unavailable(at, -(-at // SECTION_PAGES) * SECTION_PAGES, sections)):
        yield f"On node {last.nid}, zone {names[last.idx]}: {lost} pages in unavailable ranges"


def _unavailable(start: int, end: int, sections: set[int]) -> int:
    """``init_unavailable_range()``: how many page frames of [start, end) lie in sections that have memory."""
    lost = 0
    while start < end:
        following = min((start // PAGEBLOCK_NR_PAGES + 1) * PAGEBLOCK_NR_PAGES, end)
        if start // SECTION_PAGES in sections:
            lost += following - start
        start = following
    return lost
