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
from kmock.mm.memblock_type import MAX_NUMNODES
from kmock.mm.mm_init import sections_of
from kmock.mm.node import pglist_data
from kmock.mm.pcp import PAGE_ALLOC_COSTLY_ORDER
from kmock.mm.zone_layout import SECTION_PAGES as PAGES_PER_SECTION

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.zones import Zone

pg_data_t = pglist_data

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


@api(since="2.4")
def NODE_DATA(k: Kernel, nid: int) -> pglist_data:
    """Return a node's ``pg_data_t``; a null dereference for a node that does not exist."""
    if nid not in k.boot_memory.nodes:
        k.kasan.page_fault(0, write=False, origin=None, by="NODE_DATA")
    return k.boot_memory.nodes[nid]


@api(since="2.6.27")
def present_section_nr(k: Kernel, nr: int) -> bool:
    """Return whether a section of 128 MiB has a memory map; in early boot, whether it was said to."""
    boot = k.boot_memory
    return nr in (boot.sections if boot.early else sections_of(boot, MAX_NUMNODES))


@api(since="3.2")
def zone_spans_pfn(k: Kernel, zone: Zone, pfn: int) -> bool:
    """Return whether a page frame lies between the zone's first and last."""
    return zone.span[0] <= pfn < zone.span[1]


@api(since="2.6")
def for_each_zone(k: Kernel) -> list[Zone]:
    """Return the zones that have memory, node by node, lowest first."""
    return k.page_alloc.zones.all


__getattr__ = header_getattr(__name__)
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
    "NODE_DATA",
    "PAGES_PER_SECTION",
    "PAGE_ALLOC_COSTLY_ORDER",
    "ZONE_DMA",
    "ZONE_DMA32",
    "ZONE_MOVABLE",
    "ZONE_NORMAL",
    "for_each_zone",
    "get_pageblock_migratetype",
    "pfn_valid",
    "pg_data_t",
    "pglist_data",
    "present_section_nr",
    "zone_spans_pfn",
]
