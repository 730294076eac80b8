"""References and pins on pages of processes: how they are taken and given back (``mm/gup.c``), and dirty pages."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.mm import page_writeback
from kmock.mm.cow import copy_page, user_page
from kmock.mm.foll import FOLL_GET, FOLL_PIN, GUP_PIN_COUNTING_BIAS
from kmock.mm.gfp import GFP_USER
from kmock.mm.page import PG_dirty, PG_head, PG_locked
from kmock.mm.rmap import PG_anon_exclusive, add_new_anon_rmap, is_anon, put_user_page, remove_rmap
from kmock.mm.vm_fault import ZERO_PFN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.machine import Kernel
    from kmock.mm.gup import Request
    from kmock.mm.page import Page

_ULONG: Final = 1 << 64
MAX_ERRNO: Final = 4095
ZONE_MOVABLE: Final = "Movable"


def grab_page(k: Kernel, page: Page, flags: int) -> bool:
    """``try_grab_page()``: take the reference or the pin that ``flags`` ask for; False if the page has none to share."""
    head = page.head or page
    if head._refcount <= 0:
        k.warn("page-get-after-free", "mm/gup.c:224", "try_grab_page", key=page)
        return False
    if flags & FOLL_GET:
        head._refcount += 1
    elif not flags & FOLL_PIN or page.pfn == ZERO_PFN:
        return True  # the zero page goes nowhere, so nobody pins it
    elif head.test(PG_head):
        head._refcount += 1
    else:
        head._refcount += GUP_PIN_COUNTING_BIAS
    k.grabs.took(page, flags)
    return True


def _let_go(k: Kernel, page: Page) -> None:
    """``gup_put_folio(folio, 1, FOLL_PIN)``."""
    if page.pfn == ZERO_PFN:
        return
    kind = k.grabs.unpinned(page)
    head = page.head or page
    with k.page_alloc.bad.caused_by(kind, "unpin_user_page", page):
        head._refcount -= 1 if head.test(PG_head) else GUP_PIN_COUNTING_BIAS
        if head._refcount == 0:
            k.page_alloc.free_the_page(head, head.order if head.test(PG_head) else 0)


def check_exclusive(k: Kernel, pages: Sequence[Page]) -> None:
    """``sanity_check_pinned_pages()``: a pinned anonymous page is its process' own."""
    for page in pages if k.config.debug_vm else ():
        if page.pfn != ZERO_PFN and is_anon(page) and not page.test(PG_anon_exclusive):
            k.page_alloc.bad.bug("gup-put-vs-unpin", "mm/gup.c:58", page, "!PageAnonExclusive(&folio->page)")


def unpin_user_page(k: Kernel, page: Page) -> None:
    """``unpin_user_page()``: give one pin back."""
    if page is None or isinstance(page, int):
        k.page_alloc.no_page(page, "unpin_user_page")
    check_exclusive(k, (page,))
    _let_go(k, page)


def unpin_user_pages(k: Kernel, pages: Sequence[Page], npages: int) -> None:
    """``unpin_user_pages()``: give a pin of each page back; a number that is an error gives back none."""
    if -MAX_ERRNO <= npages < 0 or npages % _ULONG >= _ULONG - MAX_ERRNO:
        k.warn("gup-negative-as-count", "mm/gup.c:445", "unpin_user_pages")
        return
    all_of = k.grabs.counted(pages, npages)
    check_exclusive(k, all_of)
    for page in all_of:
        _let_go(k, page)


def unpin_user_pages_dirty_lock(k: Kernel, pages: Sequence[Page], npages: int, *, make_dirty: bool) -> None:
    """``unpin_user_pages_dirty_lock()``: mark the pages dirty that are not yet, and give their pins back."""
    if not make_dirty:
        unpin_user_pages(k, pages, npages)
        return
    all_of = k.grabs.counted(pages, npages)
    check_exclusive(k, all_of)
    for page in all_of:
        _dirty_and_let_go(k, page)


def unpin_user_page_range_dirty_lock(k: Kernel, page: Page, npages: int, *, make_dirty: bool) -> None:
    """``unpin_user_page_range_dirty_lock()``: likewise for pages that follow each other."""
    for i in range(npages):
        if make_dirty:
            _dirty_and_let_go(k, page + i)
        else:
            _let_go(k, page + i)


def _dirty_and_let_go(k: Kernel, page: Page) -> None:
    head = page.head or page
    k.grabs.dirtied(page)
    if not head.test(PG_dirty):
        k.page_alloc.locks.lock(head, "gup-dirty-lock-atomic")
        page_writeback.set_page_dirty(head)
        k.page_alloc.locks.unlock(head)
    _let_go(k, page)


# -- dirty ----------------------------------------------------------------------------------------


def set_page_dirty(k: Kernel, page: Page) -> bool:
    """``set_page_dirty()`` by a driver; whether the page was clean."""
    k.grabs.dirtied(page)
    return page_writeback.set_page_dirty(page)


def set_page_dirty_lock(k: Kernel, page: Page) -> int:
    """``set_page_dirty_lock()``: mark it under the page's lock, which may sleep."""
    locks = k.page_alloc.locks
    locks.lock(page, "gup-dirty-lock-atomic")
    clean = set_page_dirty(k, page)
    locks.unlock(page)
    return int(clean)


def maybe_dma_pinned(k: Kernel, page: Page) -> bool:
    """``page_maybe_dma_pinned()``: whether the page has a pin, or so many references that it looks like one."""
    head = page.head or page
    if head.test(PG_head):
        return k.grabs.pins_of(head) > 0
    return head._refcount % (1 << 32) >= GUP_PIN_COUNTING_BIAS


# -- where pages may stay -------------------------------------------------------------------------


def _pinnable(page: Page) -> bool:
    """``is_longterm_pinnable_page()``: not one of a zone that is kept free of what can't be moved."""
    return page.pfn == ZERO_PFN or page.zone is None or page.zone.name != ZONE_MOVABLE


def migrate_unpinnable(request: Request) -> int:
    """``check_and_migrate_movable_pages()``: 0 if all pages may stay, -EAGAIN if they were moved and let go, or -ENOMEM."""
    k = request.mm.kernel
    wrong = [page for page in request.pages if not _pinnable(page)]
    if not wrong:
        return 0
    addresses = {page: request.start + i * 4096 & -4096 for i, page in enumerate(request.pages)}
    for page in request.pages:
        _let_go(k, page)
    moved = all(_migrate(request, page, addresses[page]) for page in wrong)
    request.pages.clear()
    request.vmas.clear()
    return -errno.EAGAIN if moved else -errno.ENOMEM


def _migrate(request: Request, page: Page, address: int) -> bool:
    """``migrate_pages()`` for one anonymous page of one process."""
    mm = request.mm
    k = mm.kernel
    vma = mm.vma_lookup(address)
    if vma is None or not is_anon(page) or page._refcount != 1 or page.test(PG_locked):
        return False
    new = user_page(k, GFP_USER)
    if new is None:
        return False
    copy_page(k, new, page.pfn)
    entry = mm.pte(address)
    remove_rmap(mm, page)
    add_new_anon_rmap(mm, new, vma, address)
    mm.set_pte(address, entry & 0xFFF0_0000_0000_0FFF | new.pfn << 12)
    put_user_page(k, page)
    return True
