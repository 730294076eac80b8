"""``<asm/page.h>``: pages, page frame numbers, physical and direct-map addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm import physaddr
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.physaddr import get_order

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.page import Page

PAGE_MASK = -PAGE_SIZE


@api(since="2.3")
def virt_to_page(k: Kernel, kaddr: int) -> Page:
    """Return the page of an address of the direct map (from kmalloc or the page allocator, not vmalloc)."""
    return physaddr.virt_to_page(k, kaddr)


@api(since="2.5")
def virt_addr_valid(k: Kernel, kaddr: int) -> bool:
    """Return whether :func:`virt_to_page` makes sense for the address."""
    return physaddr.direct_mapped(k, kaddr)


@api(since="2.5")
def pfn_to_page(k: Kernel, pfn: int) -> Page:
    """Return the page of a page frame number."""
    return k.memmap.page(pfn)


@api(since="2.5")
def page_to_pfn(k: Kernel, page: Page) -> int:
    """Return a page's frame number."""
    return page.pfn


@api(since="2.5")
def pfn_valid(k: Kernel, pfn: int) -> bool:
    """Return whether there is a ``struct page`` for the frame."""
    return k.memmap.valid(pfn)


@api(since="2.6")
def pfn_to_kaddr(k: Kernel, pfn: int) -> Ptr:
    """Return the direct-map address of a page frame."""
    return physaddr.phys_to_virt(k, pfn << PAGE_SHIFT)


@api(since="2.6")
def virt_to_pfn(k: Kernel, kaddr: int) -> int:
    """Return the frame number of a direct-map address."""
    return physaddr.virt_to_phys(k, kaddr) >> PAGE_SHIFT


@api(since="1.0")
def __pa(k: Kernel, x: int) -> int:
    """Return the physical address of a direct-map address."""
    return physaddr.virt_to_phys(k, x, "__pa")


@api(since="2.1")
def __va(k: Kernel, x: int) -> Ptr:
    """Return the direct-map address of a physical address."""
    return physaddr.phys_to_virt(k, x)


@api(since="2.1")
def clear_page(k: Kernel, page: Ptr) -> None:
    """Zero a page, given its address."""
    k.mem.fill(page, 0, 0, PAGE_SIZE)


@api(since="2.1")
def copy_page(k: Kernel, to: Ptr, from_: Ptr) -> None:
    """Copy a page, given the addresses."""
    k.mem.copy(to, from_, PAGE_SIZE)


__getattr__ = header_getattr(__name__)
__all__ = [
    "PAGE_MASK",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "__pa",
    "__va",
    "clear_page",
    "copy_page",
    "get_order",
    "page_to_pfn",
    "pfn_to_kaddr",
    "pfn_to_page",
    "pfn_valid",
    "virt_addr_valid",
    "virt_to_page",
    "virt_to_pfn",
]
