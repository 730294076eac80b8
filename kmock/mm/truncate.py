"""Files become shorter: their pages leave the page cache, and the processes that map them (``mm/truncate.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.mm.filemap import filemap_remove_page, unlock_and_put
from kmock.mm.page import PG_mappedtodisk, PG_writeback
from kmock.mm.page_writeback import cancel_dirty_page
from kmock.mm.rmap import put_user_page
from kmock.mm.zap import unmap_mapping_range

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.address_space import address_space
    from kmock.mm.page import Page

PAGE_SIZE: Final = 4096


def truncate_setsize(k: Kernel, inode: Any, newsize: int) -> None:
    """``truncate_setsize()``: give a file another size, and drop what lies beyond."""
    inode.i_size = newsize
    truncate_pagecache(k, inode, newsize)


def truncate_pagecache(k: Kernel, inode: Any, newsize: int) -> None:
    """``truncate_pagecache()``: drop the pages beyond ``newsize``, which is the file's size already."""
    mapping: address_space = inode.i_mapping
    beyond = -(-newsize // PAGE_SIZE) * PAGE_SIZE
    # Twice: a page that a process copies meanwhile is a private one, which truncation of the cache does not see.
    unmap_mapping_range(k, mapping, beyond, 0, even_cows=True)
    truncate_inode_pages(k, mapping, newsize)
    unmap_mapping_range(k, mapping, beyond, 0, even_cows=True)


def truncate_inode_pages(k: Kernel, mapping: address_space, lstart: int) -> None:
    """``truncate_inode_pages()``: drop the pages from byte ``lstart`` on; of a page that begins before, the rest is zeroed."""
    first = -(-lstart // PAGE_SIZE)
    _drop(k, mapping, first, wait=False)
    if lstart % PAGE_SIZE:
        _zero_rest(k, mapping, lstart)
    _drop(k, mapping, first, wait=True)


def _drop(k: Kernel, mapping: address_space, first: int, *, wait: bool) -> None:
    locks = k.page_alloc.locks
    for index in sorted(i for i in mapping.i_pages if i >= first):
        page = mapping.i_pages.get(index)
        if page is None:
            continue
        page._refcount += 1
        if wait:
            locks.lock(page)
        elif page.test(PG_writeback) or not locks.trylock(page):
            put_user_page(k, page)
            continue
        if page.mapping is mapping:
            _truncate_page(k, mapping, page)
        unlock_and_put(k, page)


def _truncate_page(k: Kernel, mapping: address_space, page: Page) -> None:
    # truncate_cleanup_folio(), and out of the cache
    if page.mapcount:
        unmap_mapping_range(k, mapping, page.index * PAGE_SIZE, PAGE_SIZE, even_cows=False)
    cancel_dirty_page(page)
    page.clear(PG_mappedtodisk)
    filemap_remove_page(k, page)


def _zero_rest(k: Kernel, mapping: address_space, lstart: int) -> None:
    # truncate_inode_partial_folio()
    page = mapping.i_pages.get(lstart // PAGE_SIZE)
    if page is None:
        return
    page._refcount += 1
    k.page_alloc.locks.lock(page)
    if page.mapping is mapping:
        offset = lstart % PAGE_SIZE
        k.ram.bytes[page.phys + offset : page.phys + PAGE_SIZE] = bytes(PAGE_SIZE - offset)
    unlock_and_put(k, page)
