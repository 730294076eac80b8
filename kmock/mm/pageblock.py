"""The flags of pageblocks by page frame (``get_pfnblock_flags_mask()`` and its inverse, ``mm/page_alloc.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

_KIND: Final = "pageblock-out-of-zone"


def spanned(page: Page, pfn: int) -> bool:
    """``zone_spans_pfn()`` of the page's zone."""
    return page.zone is not None and page.zone.span[0] <= pfn < page.zone.span[1]


def get_flags(k: Kernel, page: Page, pfn: int) -> int:
    """Return all flags of the pageblock; 0, and a report, for one that is not the zone's."""
    if page.zone is None or not spanned(page, pfn):
        line = f"page frame {pfn:#x} does not lie in the zone of {page!r}"
        k.report(_KIND, f"BUG: kmock: {_KIND} in {k.symbol(k.capture())}", lines=[line], key=(_KIND, pfn))
        return 0
    flags: int = page.zone.pageblock_flags(pfn)
    return flags


def set_flags(k: Kernel, page: Page, flags: int, pfn: int, mask: int) -> None:
    """Set the flags in ``mask``; VM_BUG_ON for a pageblock that is not the zone's."""
    if k.config.debug_vm and not spanned(page, pfn):
        k.page_alloc.bad.bug(_KIND, "mm/page_alloc.c:625", page, "!zone_spans_pfn(page_zone(page), pfn)")
    before = get_flags(k, page, pfn)
    if page.zone is not None and spanned(page, pfn):
        page.zone.set_pageblock_flags(pfn, before & ~mask | flags & mask)
