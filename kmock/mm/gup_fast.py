"""Pages of the running process, first without its lock: ``get_user_pages_fast()`` (``mm/gup.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_PFN_MASK, PTE_PRESENT, PTE_RW, PTE_SPECIAL, PTE_USER
from kmock.mm.foll import (
    FOLL_FAST_ONLY,
    FOLL_FORCE,
    FOLL_GET,
    FOLL_LONGTERM,
    FOLL_NOFAULT,
    FOLL_PIN,
    FOLL_TOUCH,
    FOLL_WRITE,
)
from kmock.mm.gup import PAGE_SIZE, Request, must_unshare, no_mm, walk_locked, walk_longterm
from kmock.mm.page import PG_referenced
from kmock.mm.pin import _pinnable, grab_page

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct

_ALLOWED: Final = FOLL_WRITE | FOLL_LONGTERM | FOLL_FORCE | FOLL_PIN | FOLL_GET | FOLL_FAST_ONLY | FOLL_NOFAULT
_ULONG: Final = 1 << 64
_FUNCTION: Final = "internal_get_user_pages_fast"


def take_fast(k: Kernel, request: Request) -> int:
    """``internal_get_user_pages_fast()``: the number of pages taken, or -errno where there is none at all."""
    flags = request.flags
    if flags & ~_ALLOWED:
        k.warn("gup-bad-flags", "mm/gup.c:3047", _FUNCTION)
        return -errno.EINVAL
    mm: mm_struct | None = k.current.mm
    if mm is None:
        no_mm(k, _FUNCTION)
        return 0
    if flags & FOLL_PIN:
        mm.has_pinned = True
    if not flags & FOLL_FAST_ONLY:
        might_lock_read(k, mm)
    request.start &= -PAGE_SIZE
    wanted = request.nr % _ULONG
    length = (wanted << 12) % _ULONG
    if request.start + length >= _ULONG:
        return 0
    if request.start + length > k.layout.task_size:
        return -errno.EFAULT
    found = _without_lock(k, request, length)
    if found == wanted or flags & FOLL_FAST_ONLY:
        return found
    rest = Request(mm, request.start + found * PAGE_SIZE, (request.nr - found) % _ULONG, flags)
    ret = _with_lock(k, rest)
    request.pages += rest.pages
    return (found or ret) if ret < 0 else ret + found


def _without_lock(k: Kernel, request: Request, length: int) -> int:
    """``lockless_pages_from_mm()``: as many pages as are there for the taking, from the first on.

    An empty range ends where the page table does, or at the first page that can't be had: the walk looks at
    a page before it asks whether that was the last.
    """
    address = request.start
    end = address + length if length else (address | 0x1F_FFFF) + 1
    entries = request.mm.pgd.entries
    while address != end:
        if not _grab(k, entries.get(address >> 12, 0), request):
            break
        address += PAGE_SIZE
    return len(request.pages)


def _grab(k: Kernel, entry: int, request: Request) -> bool:
    # gup_pte_range()
    flags = request.flags
    needed = PTE_PRESENT | PTE_USER | (PTE_RW if flags & FOLL_WRITE else 0)
    if entry & needed != needed or entry & PTE_SPECIAL:
        return False
    page = k.memmap.page((entry & PTE_PFN_MASK) >> 12)
    if flags & FOLL_LONGTERM and not _pinnable(page):
        return False
    if not entry & PTE_RW and must_unshare(flags, page):
        return False
    if not grab_page(k, page, flags):
        return False
    page.set(PG_referenced)
    request.pages.append(page)
    return True


def _with_lock(k: Kernel, request: Request) -> int:
    """``__gup_longterm_unlocked()``."""
    if not request.flags & FOLL_LONGTERM:
        return take_unlocked(k, request)
    mm = request.mm
    mm.lock("__gup_longterm_unlocked", read=True)
    found = walk_longterm(request)
    mm.unlock(read=True)
    return found


def take_unlocked(k: Kernel, request: Request) -> int:
    """``get_user_pages_unlocked()``: take ``mmap_lock``, the pages, and let go of the lock."""
    if request.flags & FOLL_LONGTERM:
        k.warn("gup-bad-flags", "mm/gup.c:2367", "get_user_pages_unlocked")
        return -errno.EINVAL
    mm = request.mm
    request.flags |= FOLL_TOUCH
    request.locked = 1
    mm.lock("get_user_pages_unlocked", read=True)
    found = walk_locked(request)
    if request.locked:
        mm.unlock(read=True)
    return found


def might_lock_read(k: Kernel, mm: mm_struct) -> None:
    """``might_lock_read(&mm->mmap_lock)``: have lockdep look as if the lock were taken."""
    task = k.current
    if k.config.lockdep and not task.lockdep_off and task.held:
        k.lockdep.might_take(mm.mmap_lock, read=1)
