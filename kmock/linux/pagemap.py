"""``<linux/pagemap.h>``: the lock of a page, and the page cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.fs import filemap_write_and_wait_range  # declared here since 5.17

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page


@api(since="2.1", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="unlock_page")
def lock_page(k: Kernel, page: Page) -> None:
    """Sleep until the page is unlocked, and lock it."""
    k.page_alloc.locks.lock(page)


@api(since="2.1", undo="unlock_page", fails=True)
def trylock_page(k: Kernel, page: Page) -> bool:
    """Lock the page if it is not locked; return whether it was done."""
    return k.page_alloc.locks.trylock(page)


@api(since="2.1")
def unlock_page(k: Kernel, page: Page) -> None:
    """Unlock the page and wake who waits for it."""
    k.page_alloc.locks.unlock(page)


__getattr__ = header_getattr(__name__)
__all__ = ["filemap_write_and_wait_range", "lock_page", "trylock_page", "unlock_page"]
