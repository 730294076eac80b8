"""``<linux/mmzone.h>``: zones, orders and migrate types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.page import pfn_valid
from kmock.mm.buddy import (
    MAX_ORDER,
    MAX_ORDER_NR_PAGES,
    MIGRATE_HIGHATOMIC,
    MIGRATE_MOVABLE,
    MIGRATE_PCPTYPES,
    MIGRATE_RECLAIMABLE,
    MIGRATE_TYPES,
    MIGRATE_UNMOVABLE,
)
from kmock.mm.pcp import PAGE_ALLOC_COSTLY_ORDER

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

# Of x86-64, which has no highmem (enum zone_type).
ZONE_DMA = 0
ZONE_DMA32 = 1
ZONE_NORMAL = 2
ZONE_MOVABLE = 3
MAX_NR_ZONES = 4


@api(since="2.6.24")
def get_pageblock_migratetype(k: Kernel, page: Page) -> int:
    """Return the migrate type of the pageblock that a page lies in."""
    zone = page.zone
    return zone.pageblock_type(page.pfn) if zone is not None else MIGRATE_UNMOVABLE


__getattr__ = header_getattr(__name__, {"pglist_data", "NODE_DATA", "for_each_zone", "zone"})
__all__ = [
    "MAX_NR_ZONES",
    "MAX_ORDER",
    "MAX_ORDER_NR_PAGES",
    "MIGRATE_HIGHATOMIC",
    "MIGRATE_MOVABLE",
    "MIGRATE_PCPTYPES",
    "MIGRATE_RECLAIMABLE",
    "MIGRATE_TYPES",
    "MIGRATE_UNMOVABLE",
    "PAGE_ALLOC_COSTLY_ORDER",
    "ZONE_DMA",
    "ZONE_DMA32",
    "ZONE_MOVABLE",
    "ZONE_NORMAL",
    "get_pageblock_migratetype",
    "pfn_valid",
]
