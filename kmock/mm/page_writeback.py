"""Dirty pages: how they become dirty, and how they go to their disk (``mm/page-writeback.c``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kmock.mm.address_space import address_space
from kmock.mm.page import PG_dirty, PG_reclaim
from kmock.mm.rmap import page_mkclean, put_user_page

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

WB_SYNC_NONE: Final = 0
WB_SYNC_ALL: Final = 1


@dataclass(slots=True)
class writeback_control:
    """``struct writeback_control``: what is to be written, and how much it matters."""

    sync_mode: int
    range_start: int
    range_end: int


# -- dirty ----------------------------------------------------------------------------------------


def set_page_dirty(page: Page) -> bool:
    """``folio_mark_dirty()``: a page was written to; whether it was clean. Whoever it belongs to is told."""
    head = page.head or page
    mapping = head.mapping
    if mapping.__class__ is address_space and mapping.a_ops is not None and mapping.a_ops.dirty_folio is not None:
        head.clear(PG_reclaim)
        return bool(mapping.a_ops.dirty_folio(mapping, head))
    return _test_set_dirty(head)


def _test_set_dirty(page: Page) -> bool:
    clean = not page.test(PG_dirty)
    page.set(PG_dirty)
    return clean


def filemap_dirty_folio(mapping: address_space, page: Page) -> bool:
    """``filemap_dirty_folio()``: mark a page of the page cache dirty, so that it is written out; whether it was clean."""
    if not _test_set_dirty(page):
        return False
    mapping.dirty.add(page.index)
    return True


def cancel_dirty_page(page: Page) -> None:
    """``folio_cancel_dirty()``: what was written to a page goes nowhere any more."""
    page.clear(PG_dirty)
    page.mapping.dirty.discard(page.index)


def clear_page_dirty_for_io(page: Page) -> bool:
    """``folio_clear_dirty_for_io()``: whether a locked page was dirty, which it is not any more.

    A store of a process faults from now on, so that the page is dirty again before it changes.
    """
    if page_mkclean(page):
        set_page_dirty(page)
    was = page.test(PG_dirty)
    cancel_dirty_page(page)
    return was


# -- writing --------------------------------------------------------------------------------------


def write_cache_pages(k: Kernel, mapping: address_space, wbc: writeback_control) -> int:
    """``write_cache_pages()``: have each dirty page of a range written by the file system; 0 or the first -errno."""
    assert mapping.a_ops is not None
    locks = k.page_alloc.locks
    err = 0
    for index in sorted(i for i in mapping.dirty if wbc.range_start >> 12 <= i <= wbc.range_end >> 12):
        page = mapping.i_pages.get(index)
        if page is None:
            continue
        page._refcount += 1
        locks.lock(page)
        if page.mapping is mapping and clear_page_dirty_for_io(page):
            failed = int(mapping.a_ops.writepage(page, wbc) or 0)
            _mapping_set_error(mapping, failed)
            err = err or failed
        else:
            locks.unlock(page)
        put_user_page(k, page)
    return err


def _mapping_set_error(mapping: address_space, err: int) -> None:
    # mapping_set_error(): a full disk is told apart, all else is an I/O error
    if err:
        mapping.error = -errno.ENOSPC if err == -errno.ENOSPC else mapping.error or -errno.EIO
