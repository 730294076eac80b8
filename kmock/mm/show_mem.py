"""What the kernel prints about its memory: failed allocations, Mem-Info, ``/proc/buddyinfo`` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.buddy import MAX_ORDER, MIGRATE_NAMES, MIGRATE_TYPES, PAGEBLOCK_NR_PAGES, PAGEBLOCK_ORDER
from kmock.mm.gfp import __GFP_NORETRY, __GFP_NOWARN, __GFP_RETRY_MAYFAIL, gfp_text
from kmock.mm.pcp import PAGE_ALLOC_COSTLY_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.mm.zones import Zone

_TYPE_LETTERS: Final = "UMEH"


def warn_alloc(k: Kernel, gfp: int, what: str, order: int = 0) -> None:
    """``warn_alloc()``: log a failed allocation, unless it has ``__GFP_NOWARN``."""
    if gfp & __GFP_NOWARN:
        return
    k.log.write(f"{k.current.comm}: {what}, mode:{gfp:#x}({gfp_text(gfp)}), nodemask=(null)")
    k.log.write_all(mem_info(k))
    if order > PAGE_ALLOC_COSTLY_ORDER and not gfp & (__GFP_NORETRY | __GFP_RETRY_MAYFAIL):
        headline = f"BUG: kmock: gfp-nowarn-missing in {k.symbol(k.capture())}"
        k.report("gfp-nowarn-missing", headline, lines=[f"order:{order}, mode:{gfp:#x}({gfp_text(gfp)})"], key=order)


def oom_header(k: Kernel, gfp: int, order: int) -> None:
    """``dump_header()`` of ``mm/oom_kill.c``."""
    comm = k.current.comm
    k.log.write(f"{comm} invoked oom-killer: gfp_mask={gfp:#x}({gfp_text(gfp)}), order={order}, oom_score_adj=0")
    k.log.write_all(mem_info(k))


def kb(pages: int) -> int:
    """Return pages in kB."""
    return pages << 2


def mem_info(k: Kernel) -> Iterator[str]:
    """``show_mem()``: zones, their reserves and their free blocks."""
    zones = [zone for zone in k.page_alloc.zones.all if zone.managed_pages]
    pcp = sum(zone.free_pcp for zone in zones)
    free = sum(zone.buddy_pages for zone in zones)
    yield "Mem-Info:"
    yield "active_anon:0 inactive_anon:0 isolated_anon:0"
    yield " active_file:0 inactive_file:0 isolated_file:0"
    yield " unevictable:0 dirty:0 writeback:0"
    reclaimable, others = k.slab.pages()
    yield f" slab_reclaimable:{reclaimable} slab_unreclaimable:{others}"
    yield " mapped:0 shmem:0 pagetables:0"
    yield " sec_pagetables:0 bounce:0"
    yield " kernel_misc_reclaimable:0"
    yield f" free:{free} free_pcp:{pcp} free_cma:0"
    cpu = k.cpu.id
    for zone in zones:
        yield _zone_line(zone, cpu)
        yield "lowmem_reserve[]: " + " ".join(map(str, zone.lowmem_reserve))
    for zone in zones:
        yield f"Node {zone.nid} {zone.name}: {_blocks(zone)}= {kb(zone.buddy_pages)}kB"


def _zone_line(zone: Zone, cpu: int) -> str:
    local = zone.pcp[cpu].count if cpu in zone.pcp else 0
    least, low, high, _ = zone.watermark
    return (
        f"Node {zone.nid} {zone.name} free:{kb(zone.buddy_pages)}kB boost:0kB min:{kb(least)}kB low:{kb(low)}kB "
        f"high:{kb(high)}kB reserved_highatomic:{kb(zone.nr_reserved_highatomic)}KB active_anon:0kB "
        "inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB writepending:0kB "
        f"present:{kb(zone.present_pages)}kB managed:{kb(zone.managed_pages)}kB mlocked:0kB bounce:0kB "
        f"free_pcp:{kb(zone.free_pcp)}kB local_pcp:{kb(local)}kB free_cma:0kB"
    )


def _blocks(zone: Zone) -> str:
    text = ""
    for order, n in enumerate(zone.free_area):
        text += f"{n}*{4 << order}kB "
        if n:
            text += f"({''.join(_TYPE_LETTERS[t] for t in range(MIGRATE_TYPES) if zone.has_free(order, t))}) "
    return text


# -- /proc --------------------------------------------------------------------------------------------------------


def buddyinfo(k: Kernel) -> str:
    """``/proc/buddyinfo``: free blocks by order."""
    lines = (
        f"Node {zone.nid}, zone {zone.name:>8} " + "".join(f"{n:6d} " for n in zone.free_area)
        for zone in k.page_alloc.zones.all
    )
    return "\n".join(lines) + "\n"


def pagetypeinfo(k: Kernel) -> str:
    """``/proc/pagetypeinfo``: free blocks by migrate type and order."""
    orders = "".join(f"{order:6d} " for order in range(MAX_ORDER))
    head = f"Page block order: {PAGEBLOCK_ORDER}\nPages per block:  {PAGEBLOCK_NR_PAGES}\n\n"
    lines = [f"{'Free pages count per migrate type at order':<43} {orders}"]
    for zone in k.page_alloc.zones.all:
        for migratetype, name in enumerate(MIGRATE_NAMES):
            counts = "".join(f"{n:6d} " for n in zone.free_by_type(migratetype))
            lines.append(f"Node {zone.nid:4d}, zone {zone.name:>8}, type {name:>12} {counts}")
    return head + "\n".join(lines) + "\n"


def zoneinfo(k: Kernel) -> str:
    """``/proc/zoneinfo``: sizes, watermarks and processors' lists of every zone."""
    return "".join(line + "\n" for zone in k.page_alloc.zones.all for line in _zoneinfo(zone))


def _zoneinfo(zone: Zone) -> Iterator[str]:
    yield f"Node {zone.nid}, zone {zone.name:>8}"
    yield f"  pages free     {zone.buddy_pages}"
    yield "        boost    0"
    for name, value in zip(("min", "low", "high"), zone.watermark, strict=False):
        yield f"        {name:<9}{value}"
    yield f"        spanned  {zone.spanned_pages}"
    yield f"        present  {zone.present_pages}"
    yield f"        managed  {zone.managed_pages}"
    yield "        cma      0"
    yield f"        protection: ({', '.join(map(str, zone.lowmem_reserve))})"
    yield f"      nr_free_pages {zone.buddy_pages}"
    yield "  pagesets"
    for cpu, pcp in sorted(zone.pcp.items()):
        yield f"    cpu: {cpu}"
        yield f"              count: {pcp.count}"
        yield f"              high:  {zone.pcp_high}"
        yield f"              batch: {zone.pcp_batch}"
        yield f"  vm stats threshold: {zone.stat_threshold}"
    yield "  node_unreclaimable:  0"
    yield f"  start_pfn:           {zone.zone_start_pfn}"


def meminfo(k: Kernel) -> str:
    """``/proc/meminfo``, as far as it is about whole pages."""
    zones = k.page_alloc.zones.all
    total = sum(zone.managed_pages for zone in zones)
    free = sum(zone.buddy_pages for zone in zones)
    # si_mem_available() without what reclaim could give: free pages less the reserves.
    reserve = sum(min(max(zone.lowmem_reserve) + zone.watermark.high, zone.managed_pages) for zone in zones)
    rows = {"MemTotal": total, "MemFree": free, "MemAvailable": max(free - reserve, 0), "Buffers": 0, "Cached": 0}
    if (high := k.page_alloc.zones.highmem_idx) >= 0:
        upper = [zone for zone in zones if zone.idx == high]
        rows["HighTotal"] = sum(zone.managed_pages for zone in upper)
        rows["HighFree"] = sum(zone.buddy_pages for zone in upper)
        rows["LowTotal"] = total - rows["HighTotal"]
        rows["LowFree"] = free - rows["HighFree"]
    return "".join(f"{name + ':':<16}{kb(pages):8d} kB\n" for name, pages in rows.items())
