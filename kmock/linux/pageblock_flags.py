"""``<linux/pageblock-flags.h>``: the migrate type of each pageblock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm.buddy import MIGRATE_TYPES
from kmock.mm.buddy import PAGEBLOCK_NR_PAGES as pageblock_nr_pages
from kmock.mm.buddy import PAGEBLOCK_ORDER as pageblock_order

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

PB_migrate = 0
PB_migrate_end = 2


@api(since="2.6.24", until="3.16", replaced_by="get_pfnblock_flags_mask")
def get_pageblock_flags_group(k: Kernel, page: Page, start_bitidx: int, end_bitidx: int) -> int:
    """Return the bits from ``start_bitidx`` to ``end_bitidx`` of the pageblock that the page lies in."""
    bits = page.zone.pageblock_type(page.pfn) if page.zone is not None else 0
    return bits >> start_bitidx & (1 << end_bitidx - start_bitidx + 1) - 1


@api(since="2.6.24", until="3.16", replaced_by="set_pfnblock_flags_mask")
def set_pageblock_flags_group(k: Kernel, page: Page, flags: int, start_bitidx: int, end_bitidx: int) -> None:
    """Set the bits from ``start_bitidx`` to ``end_bitidx`` of the pageblock that the page lies in."""
    zone = page.zone
    if zone is not None:
        mask = (1 << end_bitidx - start_bitidx + 1) - 1 << start_bitidx
        bits = zone.pageblock_type(page.pfn) & ~mask | flags << start_bitidx & mask
        zone.set_pageblock_type(page.pfn, bits % MIGRATE_TYPES)


__getattr__ = header_getattr(__name__, {"get_pfnblock_flags_mask", "set_pfnblock_flags_mask"})
__all__ = [
    "PB_migrate",
    "PB_migrate_end",
    "get_pageblock_flags_group",
    "pageblock_nr_pages",
    "pageblock_order",
    "set_pageblock_flags_group",
]
