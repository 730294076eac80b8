"""``<linux/mm.h>``: pages, their references and addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import Where, api
from kmock.linux._header import header_getattr
from kmock.linux.gfp import *  # noqa: F403 -- the C header includes it
from kmock.linux.gfp import __all__ as _gfp
from kmock.linux.io import page_to_phys
from kmock.linux.mm_init import *  # noqa: F403 -- the C header declares them
from kmock.linux.mm_init import __all__ as _mm_init
from kmock.linux.mm_types import *  # noqa: F403 -- the C header includes it
from kmock.linux.mm_types import __all__ as _mm_types
from kmock.linux.mmzone import *  # noqa: F403 -- the C header includes it
from kmock.linux.mmzone import __all__ as _mmzone
from kmock.linux.page import *  # noqa: F403 -- the C header includes it
from kmock.linux.page import __all__ as _page
from kmock.linux.page_flags import *  # noqa: F403 -- the C header includes it
from kmock.linux.page_flags import __all__ as _page_flags
from kmock.linux.page_ref import *  # noqa: F403 -- the C header includes it
from kmock.linux.page_ref import __all__ as _page_ref
from kmock.linux.vmalloc import is_vmalloc_addr, is_vmalloc_or_module_addr, vmalloc_to_page, vmalloc_to_pfn
from kmock.mm import page_addr, physaddr
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.zones import Zone


# -- references ---------------------------------------------------------------------------------------------------


@api(since="2.3", undo="put_page")
def get_page(k: Kernel, page: Page) -> None:
    """Take a reference to a page that somebody holds already."""
    k.page_alloc.get_page(page)


@api(since="2.4", illegal=Where.NMI)
def put_page(k: Kernel, page: Page) -> None:
    """Drop a reference; the last one frees the page, or the compound page that it is part of."""
    k.page_alloc.put_page(page)


@api(since="2.6", undo="put_page", fails=True)
def get_page_unless_zero(k: Kernel, page: Page) -> bool:
    """Take a reference unless there is none left; return whether it was taken."""
    head = page.compound_head
    if not head._refcount:
        return False
    head._refcount += 1
    return True


@api(since="5.1", undo="put_page", fails=True)
def try_get_page(k: Kernel, page: Page) -> bool:
    """Take a reference; refuse, with a warning, on a page that has none or too many."""
    head = page.compound_head
    if head._refcount <= 0:
        k.warn("page-get-after-free", "include/linux/mm.h:1154", "try_get_page", key=page)
        return False
    head._refcount += 1
    return True


@api(since="2.6")
def put_page_testzero(k: Kernel, page: Page) -> bool:
    """Drop a reference without freeing; return whether it was the last."""
    return k.page_alloc.put_page_testzero(page)


# -- shape --------------------------------------------------------------------------------------------------------


@api(since="2.6.16")
def split_page(k: Kernel, page: Page, order: int) -> None:
    """Make each page of a non-compound block of ``1 << order`` one that is freed by itself."""
    page_addr.split_page(k, page, order)


@api(since="2.6.22")
def compound_order(k: Kernel, page: Page) -> int:
    """Return the order of a compound page's first page; 0 for any other."""
    return page.order


@api(since="5.4")
def compound_nr(k: Kernel, page: Page) -> int:
    """Return the pages of a compound page, given its first."""
    return 1 << page.order


@api(since="5.4")
def page_size(k: Kernel, page: Page) -> int:
    """Return the bytes of a compound page, given its first."""
    return PAGE_SIZE << page.order


@api(since="2.6")
def page_mapcount(k: Kernel, page: Page) -> int:
    """Return how often the page is mapped into processes."""
    return page.mapcount


@api(since="2.6")
def page_mapped(k: Kernel, page: Page) -> bool:
    """Return whether the page is mapped into a process."""
    return page.mapcount > 0


@api(since="2.6")
def page_zonenum(k: Kernel, page: Page) -> int:
    """Return the number of the page's zone in its node."""
    return page.zone.idx if page.zone is not None else 0


@api(since="2.5.60")
def page_zone(k: Kernel, page: Page) -> Zone | None:
    """Return the zone that the page lies in; None for a frame without memory."""
    return page.zone


@api(since="2.6")
def page_to_nid(k: Kernel, page: Page) -> int:
    """Return the page's node."""
    return page.zone.nid if page.zone is not None else 0


# -- addresses ----------------------------------------------------------------------------------------------------


@api(since="2.3")
def page_address(k: Kernel, page: Page) -> Ptr:
    """Return the address of a page; NULL for a highmem page that is not mapped."""
    return k.page_alloc.highmem.page_address(page)


@api(since="2.6.22")
def virt_to_head_page(k: Kernel, x: int) -> Page:
    """Return the first page of the compound page that an address of the direct map lies in."""
    return physaddr.virt_to_page(k, x).compound_head


@api(since="2.6")
def totalram_pages(k: Kernel) -> int:
    """Return the pages that the page allocator manages."""
    return sum(zone.managed_pages for zone in k.page_alloc.zones.all)


@api(since="3.16")
def si_mem_available(k: Kernel) -> int:
    """Return the free pages, roughly, that can be used without reclaim."""
    return k.page_alloc.nr_free_pages


def PAGE_ALIGN(addr: int) -> int:
    """Round up to a multiple of the page size."""
    return (addr + PAGE_SIZE - 1) & -PAGE_SIZE


def PAGE_ALIGNED(addr: int) -> bool:
    """Return whether an address is a multiple of the page size."""
    return not int(addr) & PAGE_SIZE - 1


def offset_in_page(p: int) -> int:
    """Return an address' offset in its page."""
    return int(p) & PAGE_SIZE - 1


def PFN_UP(x: int) -> int:
    """Return the frame number of an address, rounded up."""
    return x + PAGE_SIZE - 1 >> PAGE_SHIFT


def PFN_DOWN(x: int) -> int:
    """Return the frame number of an address."""
    return x >> PAGE_SHIFT


def PFN_PHYS(x: int) -> int:
    """Return the address of a page frame."""
    return x << PAGE_SHIFT


_OWN = [
    "PAGE_ALIGN",
    "PAGE_ALIGNED",
    "PFN_DOWN",
    "PFN_PHYS",
    "PFN_UP",
    "compound_nr",
    "compound_order",
    "get_page",
    "get_page_unless_zero",
    "is_vmalloc_addr",
    "is_vmalloc_or_module_addr",
    "offset_in_page",
    "page_address",
    "page_mapcount",
    "page_mapped",
    "page_size",
    "page_to_nid",
    "page_to_phys",
    "page_zone",
    "page_zonenum",
    "put_page",
    "put_page_testzero",
    "si_mem_available",
    "split_page",
    "totalram_pages",
    "try_get_page",
    "virt_to_head_page",
    "vmalloc_to_page",
    "vmalloc_to_pfn",
]
__getattr__ = header_getattr(__name__)
__all__ = sorted({*_OWN, *_gfp, *_mm_init, *_mm_types, *_mmzone, *_page, *_page_flags, *_page_ref})  # noqa: PLE0605 -- a list
