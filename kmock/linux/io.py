"""``<asm/io.h>``: physical addresses of the direct map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm import physaddr

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.page import Page


@api(since="1.0")
def virt_to_phys(k: Kernel, address: int) -> int:
    """Return the physical address of a direct-map address (from kmalloc or the page allocator, not vmalloc)."""
    return physaddr.virt_to_phys(k, address)


@api(since="1.0")
def phys_to_virt(k: Kernel, address: int) -> Ptr:
    """Return the direct-map address of a physical address in RAM."""
    return physaddr.phys_to_virt(k, address)


@api(since="2.6")
def page_to_phys(k: Kernel, page: Page) -> int:
    """Return a page's physical address."""
    return page.phys


__getattr__ = header_getattr(__name__)
__all__ = ["page_to_phys", "phys_to_virt", "virt_to_phys"]
