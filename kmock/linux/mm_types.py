"""``<linux/mm_types.h>``: ``struct page``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm.page import Page as page

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.6")
def page_private(k: Kernel, page: page) -> Any:
    """Return what the page's owner put into ``page->private``."""
    return page.private


@api(since="2.6")
def set_page_private(k: Kernel, page: page, private: Any) -> None:
    """Set ``page->private``, a number or any object."""
    page.private = private


__getattr__ = header_getattr(__name__, {"folio", "vm_area_struct", "mm_struct", "vm_fault"})
__all__ = ["page", "page_private", "set_page_private"]
