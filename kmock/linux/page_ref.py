"""``<linux/page_ref.h>``: how many hold on to a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page


@api(since="2.3")
def page_count(k: Kernel, page: Page) -> int:
    """Return the references to the page, or to the compound page that it is part of."""
    return page.compound_head._refcount


@api(since="4.6")
def page_ref_count(k: Kernel, page: Page) -> int:
    """Return the page's own ``_refcount``; that of a tail page is 0."""
    return page._refcount


@api(since="2.3")
def set_page_count(k: Kernel, page: Page, v: int) -> None:
    """Set a page's ``_refcount``."""
    page._refcount = v


@api(since="2.6")
def init_page_count(k: Kernel, page: Page) -> None:
    """Set a page's ``_refcount`` to one, before it is freed for the first time."""
    page._refcount = 1


__getattr__ = header_getattr(__name__)
__all__ = ["init_page_count", "page_count", "page_ref_count", "set_page_count"]
