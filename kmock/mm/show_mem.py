"""What the kernel prints of its memory when an allocation fails (``lib/show_mem.c``, ``show_free_areas()``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.buddy import MIGRATE_TYPES
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
