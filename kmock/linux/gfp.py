"""``<linux/gfp.h>``: whole pages, and the flags that say how to get them.

``alloc_pages`` gives the first of 2^order pages (``struct page``), ``__get_free_pages`` their address; both give
NULL when there is no memory. Pages are freed with the order they were allocated with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.page import get_order
from kmock.mm import page_addr
from kmock.mm.gfp import (
    __GFP_ACCOUNT,
    __GFP_ATOMIC,
    __GFP_COMP,
    __GFP_DIRECT_RECLAIM,
    __GFP_DMA,
    __GFP_DMA32,
    __GFP_FS,
    __GFP_HARDWALL,
    __GFP_HIGH,
    __GFP_HIGHMEM,
    __GFP_IO,
    __GFP_KSWAPD_RECLAIM,
    __GFP_MEMALLOC,
    __GFP_MOVABLE,
    __GFP_NOFAIL,
    __GFP_NOLOCKDEP,
    __GFP_NOMEMALLOC,
    __GFP_NORETRY,
    __GFP_NOWARN,
    __GFP_RECLAIM,
    __GFP_RECLAIMABLE,
    __GFP_RETRY_MAYFAIL,
    __GFP_THISNODE,
    __GFP_WRITE,
    __GFP_ZERO,
    __GFP_ZEROTAGS,
    GFP_ATOMIC,
    GFP_DMA,
    GFP_DMA32,
    GFP_HIGHUSER,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_KERNEL_ACCOUNT,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    GFP_TRANSHUGE,
    GFP_TRANSHUGE_LIGHT,
    GFP_USER,
    GFP_ZONEMASK,
)
from kmock.mm.gfp import gfpflags_allow_blocking as _allow_blocking
from kmock.mm.page_addr import page_frag_cache

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.page import Page

# Flags of older kernels. What they asked for is what their successors ask for, or what happens anyway.
__GFP_WAIT = __GFP_RECLAIM
__GFP_REPEAT = __GFP_RETRY_MAYFAIL
__GFP_COLD = 0
__GFP_NO_GROW = 0
__GFP_NO_KSWAPD = 0
__GFP_NOTRACK = 0
__GFP_OTHER_NODE = 0
__GFP_SKIP_KASAN_POISON = 0
__GFP_SKIP_KASAN_UNPOISON = 0
__GFP_SKIP_ZERO = 0
__GFP_BITS_SHIFT = 28
__GFP_BITS_MASK = (1 << __GFP_BITS_SHIFT) - 1
GFP_TEMPORARY = GFP_KERNEL | __GFP_RECLAIMABLE
GFP_THISNODE = __GFP_THISNODE | __GFP_NOWARN | __GFP_NORETRY
NUMA_NO_NODE = -1


def _nid(k: Kernel, nid: int) -> int | None:
    """Return the node for the allocator; a node that does not exist is a null dereference, NODE_DATA() has none."""
    if nid == NUMA_NO_NODE:
        return None
    if not 0 <= nid < len(k.page_alloc.zones.nodes):
        k.kasan.page_fault(0, write=False, origin=None, by="__alloc_pages")
    return nid


def _or_null(page: Page | None, call: str, order: int) -> Page:
    # A page or NULL, as C has it: every driver asks `if not page` before it looks inside.
    return page if page is not None else cast("Page", page_addr.null(call, 4096 << min(order, 64)))


# -- allocation ---------------------------------------------------------------------------------------------------


@api(since="2.2", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="__free_pages", fails=True)
def alloc_pages(k: Kernel, gfp: int, order: int) -> Page:
    """Allocate ``1 << order`` contiguous pages, aligned to their size; return the first, or NULL.

    With ``__GFP_COMP`` they become one compound page; without, only the first page is counted.
    """
    return _or_null(k.page_alloc.alloc_pages(gfp, order), "alloc_pages", order)


@api(since="2.2", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="__free_page", fails=True)
def alloc_page(k: Kernel, gfp_mask: int) -> Page:
    """Allocate one page; NULL if there is none."""
    return _or_null(k.page_alloc.alloc_pages(gfp_mask, 0), "alloc_page", 0)


@api(since="2.5", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="__free_pages", fails=True)
def alloc_pages_node(k: Kernel, nid: int, gfp_mask: int, order: int) -> Page:
    """:func:`alloc_pages` from node ``nid`` if it has memory left; -1 for the processor's own."""
    return _or_null(k.page_alloc.alloc_pages(gfp_mask, order, _nid(k, nid)), "alloc_pages_node", order)


@api(since="2.6.29", until="4.3", replaced_by="__alloc_pages_node", sleeps=Sleeps.GFP, illegal=Where.NMI, fails=True)
def alloc_pages_exact_node(k: Kernel, nid: int, gfp_mask: int, order: int) -> Page:
    """:func:`alloc_pages_node` for a node that is known to exist."""
    return _or_null(k.page_alloc.alloc_pages(gfp_mask, order, _nid(k, nid)), "alloc_pages_exact_node", order)


@api(since="4.3", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="__free_pages", fails=True)
def __alloc_pages_node(k: Kernel, nid: int, gfp_mask: int, order: int) -> Page:
    """:func:`alloc_pages_node` for a node that is known to exist."""
    return _or_null(k.page_alloc.alloc_pages(gfp_mask, order, _nid(k, nid)), "__alloc_pages_node", order)


@api(since="2.3", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="__free_pages", fails=True)
def __alloc_pages(k: Kernel, gfp: int, order: int, preferred_nid: int = NUMA_NO_NODE, nodemask: None = None) -> Page:
    """:func:`alloc_pages` without a memory policy; a ``nodemask`` other than NULL is not modelled."""
    return _or_null(k.page_alloc.alloc_pages(gfp, order, _nid(k, preferred_nid)), "__alloc_pages", order)


@api(since="1.0", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="free_pages", fails=True)
def __get_free_pages(k: Kernel, gfp_mask: int, order: int) -> Ptr:
    """Allocate ``1 << order`` contiguous pages; return their address, or NULL. Never highmem."""
    return page_addr.get_free_pages(k, gfp_mask, order)


@api(since="1.0", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="free_page", fails=True)
def __get_free_page(k: Kernel, gfp_mask: int) -> Ptr:
    """Allocate one page; return its address, or NULL."""
    return page_addr.get_free_pages(k, gfp_mask, 0)


@api(since="2.3", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="free_page", fails=True)
def get_zeroed_page(k: Kernel, gfp_mask: int) -> Ptr:
    """Allocate one page of zeroes; return its address, or NULL."""
    return page_addr.get_free_pages(k, gfp_mask | __GFP_ZERO, 0, "get_zeroed_page")


@api(since="1.0", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="free_pages", fails=True)
def __get_dma_pages(k: Kernel, gfp_mask: int, order: int) -> Ptr:
    """:func:`__get_free_pages` from the first 16 MiB."""
    return page_addr.get_free_pages(k, gfp_mask | GFP_DMA, order)


@api(since="2.6.25", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="free_pages_exact", fails=True)
def alloc_pages_exact(k: Kernel, size: int, gfp_mask: int) -> Ptr:
    """Allocate as many contiguous pages as ``size`` bytes need; return their address, or NULL."""
    return page_addr.alloc_pages_exact(k, size, gfp_mask)


@api(since="2.6.31", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="free_pages_exact", fails=True)
def alloc_pages_exact_nid(k: Kernel, nid: int, size: int, gfp_mask: int) -> Ptr:
    """:func:`alloc_pages_exact`, preferably from node ``nid``."""
    return page_addr.alloc_pages_exact(k, size, gfp_mask, _nid(k, nid))


@api(since="5.13", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="__free_page", fails=True)
def alloc_pages_bulk_array(k: Kernel, gfp: int, nr_pages: int, page_array: list[Any]) -> int:
    """Put a page into each of the first ``nr_pages`` slots that is empty; return how many are full then."""
    return page_addr.alloc_pages_bulk(k, gfp, None, nr_pages, page_array)


@api(since="5.13", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="__free_page", fails=True)
def alloc_pages_bulk_array_node(k: Kernel, gfp: int, nid: int, nr_pages: int, page_array: list[Any]) -> int:
    """:func:`alloc_pages_bulk_array`, preferably from node ``nid``."""
    return page_addr.alloc_pages_bulk(k, gfp, _nid(k, nid), nr_pages, page_array)


# -- freeing ------------------------------------------------------------------------------------------------------


@api(since="2.3", illegal=Where.NMI)
def __free_pages(k: Kernel, page: Page, order: int) -> None:
    """Drop a reference to a block of ``1 << order`` pages; the last one frees it."""
    k.page_alloc.free_pages(page, order)


@api(since="2.3", illegal=Where.NMI)
def __free_page(k: Kernel, page: Page) -> None:
    """Drop a reference to one page; the last one frees it."""
    k.page_alloc.free_pages(page, 0)


@api(since="1.0", illegal=Where.NMI)
def free_pages(k: Kernel, addr: int, order: int) -> None:
    """Free a block by its address; nothing happens for 0."""
    page_addr.free_pages(k, addr, order)


@api(since="1.0", illegal=Where.NMI)
def free_page(k: Kernel, addr: int) -> None:
    """Free one page by its address; nothing happens for 0."""
    page_addr.free_pages(k, addr, 0)


@api(since="2.5.40", until="2.6.33", replaced_by="__free_page", illegal=Where.NMI)
def free_hot_page(k: Kernel, page: Page) -> None:
    """Free a page that the processor's cache still holds."""
    k.page_alloc.free_pages(page, 0, "free_hot_page")


@api(since="2.5.40", until="2.6.33", replaced_by="__free_page", illegal=Where.NMI)
def free_cold_page(k: Kernel, page: Page) -> None:
    """Free a page that the processor's cache does not hold."""
    k.page_alloc.free_pages(page, 0, "free_cold_page")


@api(since="2.6.25", illegal=Where.NMI)
def free_pages_exact(k: Kernel, virt: int, size: int) -> None:
    """Free what :func:`alloc_pages_exact` gave, with the same size."""
    page_addr.free_pages_exact(k, virt, size)


# -- fragments ----------------------------------------------------------------------------------------------------


@api(since="4.10", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="page_frag_free", fails=True)
def page_frag_alloc(k: Kernel, nc: page_frag_cache, fragsz: int, gfp_mask: int) -> Ptr:
    """Cut ``fragsz`` bytes from the cache's page; NULL if there is no memory."""
    return page_addr.page_frag_alloc(k, nc, fragsz, gfp_mask)


@api(since="5.11", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="page_frag_free", fails=True)
def page_frag_alloc_align(k: Kernel, nc: page_frag_cache, fragsz: int, gfp_mask: int, align: int) -> Ptr:
    """:func:`page_frag_alloc`, aligned to ``align`` bytes, a power of two."""
    return page_addr.page_frag_alloc(k, nc, fragsz, gfp_mask, -align)


@api(since="4.10", illegal=Where.NMI)
def page_frag_free(k: Kernel, addr: int) -> None:
    """Give a piece of a page back."""
    page_addr.page_frag_free(k, addr)


@api(since="4.10", illegal=Where.NMI)
def __page_frag_cache_drain(k: Kernel, page: Page, count: int) -> None:
    """Drop ``count`` references that a cache holds to its page."""
    page_addr.page_frag_cache_drain(k, page, count)


# -- the rest -----------------------------------------------------------------------------------------------------


@api(since="4.4")
def gfpflags_allow_blocking(k: Kernel, gfp_flags: int) -> bool:
    """Return whether an allocation with these flags may sleep."""
    return _allow_blocking(gfp_flags)


@api(since="2.6.32")
def drain_all_pages(k: Kernel, zone: None = None) -> None:
    """Empty all processors' lists of free pages into their zones."""
    k.page_alloc.drain_all_pages()


__getattr__ = header_getattr(
    __name__,
    {
        "alloc_pages_vma",
        "vma_alloc_folio",
        "folio_alloc",
        "alloc_contig_range",
        "free_contig_range",
        "alloc_contig_pages",
    },
)
__all__ = [
    "GFP_ATOMIC",
    "GFP_DMA",
    "GFP_DMA32",
    "GFP_HIGHUSER",
    "GFP_HIGHUSER_MOVABLE",
    "GFP_KERNEL",
    "GFP_KERNEL_ACCOUNT",
    "GFP_NOFS",
    "GFP_NOIO",
    "GFP_NOWAIT",
    "GFP_TEMPORARY",
    "GFP_THISNODE",
    "GFP_TRANSHUGE",
    "GFP_TRANSHUGE_LIGHT",
    "GFP_USER",
    "GFP_ZONEMASK",
    "NUMA_NO_NODE",
    "__GFP_ACCOUNT",
    "__GFP_ATOMIC",
    "__GFP_BITS_MASK",
    "__GFP_BITS_SHIFT",
    "__GFP_COLD",
    "__GFP_COMP",
    "__GFP_DIRECT_RECLAIM",
    "__GFP_DMA",
    "__GFP_DMA32",
    "__GFP_FS",
    "__GFP_HARDWALL",
    "__GFP_HIGH",
    "__GFP_HIGHMEM",
    "__GFP_IO",
    "__GFP_KSWAPD_RECLAIM",
    "__GFP_MEMALLOC",
    "__GFP_MOVABLE",
    "__GFP_NOFAIL",
    "__GFP_NOLOCKDEP",
    "__GFP_NOMEMALLOC",
    "__GFP_NORETRY",
    "__GFP_NOTRACK",
    "__GFP_NOWARN",
    "__GFP_NO_GROW",
    "__GFP_NO_KSWAPD",
    "__GFP_OTHER_NODE",
    "__GFP_RECLAIM",
    "__GFP_RECLAIMABLE",
    "__GFP_REPEAT",
    "__GFP_RETRY_MAYFAIL",
    "__GFP_SKIP_KASAN_POISON",
    "__GFP_SKIP_KASAN_UNPOISON",
    "__GFP_SKIP_ZERO",
    "__GFP_THISNODE",
    "__GFP_WAIT",
    "__GFP_WRITE",
    "__GFP_ZERO",
    "__GFP_ZEROTAGS",
    "__alloc_pages",
    "__alloc_pages_node",
    "__free_page",
    "__free_pages",
    "__get_dma_pages",
    "__get_free_page",
    "__get_free_pages",
    "__page_frag_cache_drain",
    "alloc_page",
    "alloc_pages",
    "alloc_pages_bulk_array",
    "alloc_pages_bulk_array_node",
    "alloc_pages_exact",
    "alloc_pages_exact_nid",
    "alloc_pages_exact_node",
    "alloc_pages_node",
    "drain_all_pages",
    "free_cold_page",
    "free_hot_page",
    "free_page",
    "free_pages",
    "free_pages_exact",
    "get_order",
    "get_zeroed_page",
    "gfpflags_allow_blocking",
    "page_frag_alloc",
    "page_frag_alloc_align",
    "page_frag_cache",
    "page_frag_free",
]
