"""``<linux/pfn_t.h>``: a page frame number that says what kind of memory it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm.insert import PFN_DEV, PFN_FLAGS_MASK, PFN_MAP, PFN_SG_CHAIN, PFN_SG_LAST, PFN_SPECIAL

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page


@api(since="4.5")
def __pfn_to_pfn_t(k: Kernel, pfn: int, flags: int) -> int:
    """Return a frame number with flags (``PFN_DEV`` and so on)."""
    return pfn | flags & PFN_FLAGS_MASK


@api(since="4.5")
def pfn_to_pfn_t(k: Kernel, pfn: int) -> int:
    """Return a frame number without flags."""
    return pfn


@api(since="4.5")
def page_to_pfn_t(k: Kernel, page: Page) -> int:
    """Return the frame number of a page."""
    return page.pfn


@api(since="4.5")
def phys_to_pfn_t(k: Kernel, addr: int, flags: int) -> int:
    """Return the frame number of a physical address, with flags."""
    return addr >> 12 | flags & PFN_FLAGS_MASK


@api(since="4.5")
def pfn_t_to_pfn(k: Kernel, pfn: int) -> int:
    """Return the number without its flags."""
    return pfn & ~PFN_FLAGS_MASK


@api(since="4.5")
def pfn_t_valid(k: Kernel, pfn: int) -> bool:
    """Return whether there is a ``struct page`` for the frame."""
    return k.memmap.valid(pfn & ~PFN_FLAGS_MASK)


__getattr__ = header_getattr(__name__)
__all__ = [
    "PFN_DEV",
    "PFN_FLAGS_MASK",
    "PFN_MAP",
    "PFN_SG_CHAIN",
    "PFN_SG_LAST",
    "PFN_SPECIAL",
    "__pfn_to_pfn_t",
    "page_to_pfn_t",
    "pfn_t_to_pfn",
    "pfn_t_valid",
    "pfn_to_pfn_t",
    "phys_to_pfn_t",
]
