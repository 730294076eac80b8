"""``<linux/pageblock-flags.h>``: four bits for each pageblock, its migrate type and whether compaction skips it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm import pageblock
from kmock.mm.buddy import PAGEBLOCK_NR_PAGES as pageblock_nr_pages
from kmock.mm.buddy import PAGEBLOCK_ORDER as pageblock_order
from kmock.mm.buddy import PB_MIGRATE_SKIP as PB_migrate_skip

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

PB_migrate = 0
PB_migrate_end = 2
NR_PAGEBLOCK_BITS = 4


@api(since="3.16")
def get_pfnblock_flags_mask(k: Kernel, page: Page, pfn: int, mask: int) -> int:
    """Return those flags of the pageblock that ``pfn`` lies in which are in ``mask``."""
    return pageblock.get_flags(k, page, pfn) & mask


@api(since="3.16")
def set_pfnblock_flags_mask(k: Kernel, page: Page, flags: int, pfn: int, mask: int) -> None:
    """Set those flags of the pageblock that ``pfn`` lies in which are in ``mask``; BUG where the page's zone ends."""
    pageblock.set_flags(k, page, flags, pfn, mask)


@api(since="2.6.24", until="3.15", replaced_by="get_pfnblock_flags_mask")
def get_pageblock_flags_group(k: Kernel, page: Page, start_bitidx: int, end_bitidx: int) -> int:
    """Return the flags numbered ``start_bitidx`` to ``end_bitidx``, both included, of the page's pageblock."""
    return (pageblock.get_flags(k, page, page.pfn) & _group(start_bitidx, end_bitidx)) >> start_bitidx


@api(since="2.6.24", until="3.15", replaced_by="set_pfnblock_flags_mask")
def set_pageblock_flags_group(k: Kernel, page: Page, flags: int, start_bitidx: int, end_bitidx: int) -> None:
    """Set the flags numbered ``start_bitidx`` to ``end_bitidx``, both included, of the page's pageblock."""
    pageblock.set_flags(k, page, flags << start_bitidx, page.pfn, _group(start_bitidx, end_bitidx))


def _group(first: int, last: int) -> int:
    return (1 << last + 1) - (1 << first)


__getattr__ = header_getattr(__name__)
__all__ = [
    "NR_PAGEBLOCK_BITS",
    "PB_migrate",
    "PB_migrate_end",
    "PB_migrate_skip",
    "get_pageblock_flags_group",
    "get_pfnblock_flags_mask",
    "pageblock_nr_pages",
    "pageblock_order",
    "set_pageblock_flags_group",
    "set_pfnblock_flags_mask",
]
