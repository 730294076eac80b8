"""Pages of a process for the kernel: ``get_user_pages()`` and ``pin_user_pages()`` by way of its areas (``mm/gup.c``).

Functions return a number of pages, or -errno where there is none at all, as the kernel's do. What they took is
appended to the caller's :class:`Request`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from signal import SIGKILL
from typing import TYPE_CHECKING, Any, Final

from kmock.hw.mmu import PTE_DIRTY, PTE_PFN_MASK, PTE_PRESENT, PTE_RW
from kmock.mm.cow import do_wp_page
from kmock.mm.foll import (
    FOLL_ANON,
    FOLL_DUMP,
    FOLL_FORCE,
    FOLL_GET,
    FOLL_HWPOISON,
    FOLL_LONGTERM,
    FOLL_NOFAULT,
    FOLL_NOWAIT,
    FOLL_PIN,
    FOLL_REMOTE,
    FOLL_TOUCH,
    FOLL_TRIED,
    FOLL_WRITE,
)
from kmock.mm.memory import handle_mm_fault
from kmock.mm.mm_struct import PTE_SOFT_PRESENT
from kmock.mm.page_writeback import set_page_dirty
from kmock.mm.pin import grab_page, migrate_unpinnable
from kmock.mm.rmap import PG_anon_exclusive, is_anon, mark_page_accessed
from kmock.mm.unmap import vm_normal_page
from kmock.mm.vm_fault import (
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_KILLABLE,
    FAULT_FLAG_REMOTE,
    FAULT_FLAG_RETRY_NOWAIT,
    FAULT_FLAG_TRIED,
    FAULT_FLAG_WRITE,
    VM_FAULT_COMPLETED,
    VM_FAULT_ERROR,
    VM_FAULT_HWPOISON,
    VM_FAULT_HWPOISON_LARGE,
    VM_FAULT_OOM,
    VM_FAULT_RETRY,
    ZERO_PFN,
    vm_fault,
)
from kmock.mm.vm_flags import (
    VM_IO,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_PFNMAP,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    is_cow_mapping,
)

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct

PAGE_SIZE: Final = 4096
EHWPOISON: Final = 133


@dataclass(slots=True)
class Request:
    """One call: what is wanted, and what has come of it so far."""

    mm: mm_struct
    start: int
    nr: int
    flags: int
    fill: bool = True
    """Whether the caller wants the pages, and not only that they are there."""
    pages: list[Page] = field(default_factory=list)
    vmas: list[vm_area_struct] = field(default_factory=list)
    locked: int | None = None
    """C's ``int *locked``: 0 once the walk has dropped ``mmap_lock``; None where it may not."""


# -- one page -------------------------------------------------------------------------------------


def _follow_page(vma: vm_area_struct, address: int, flags: int) -> Page | int:
    """``follow_page_pte()``: take the page that is mapped at ``address``; 0 if it has to be brought in first, or -errno."""
    k = vma.vm_mm.kernel
    entry = vma.vm_mm.pte(address)
    if not entry & PTE_SOFT_PRESENT:
        ops = vma.vm_ops
        return -errno.EFAULT if flags & FOLL_DUMP and (ops is None or ops.fault is None) else 0
    if not entry & PTE_PRESENT and not flags & FOLL_FORCE:
        return 0
    page = vm_normal_page(vma, address, entry)
    if flags & FOLL_WRITE and not _may_write(entry, page, vma, flags):
        return 0
    if page is None:
        pfn = (entry & PTE_PFN_MASK) >> 12
        if flags & FOLL_DUMP:
            return -errno.EFAULT
        if pfn != ZERO_PFN:
            return -errno.EEXIST
        page = k.memmap.page(pfn)
    if not entry & PTE_RW and must_unshare(flags, page):
        return -errno.EMLINK
    if not grab_page(k, page, flags):
        return -errno.ENOMEM
    if flags & FOLL_TOUCH:
        if flags & FOLL_WRITE and not entry & PTE_DIRTY:
            set_page_dirty(page)
        mark_page_accessed(page)
    return page


def _may_write(entry: int, page: Page | None, vma: vm_area_struct, flags: int) -> bool:
    """``can_follow_write_pte()``: FOLL_FORCE may write to a private copy that the process itself may not."""
    if entry & PTE_RW:
        return True
    if not flags & FOLL_FORCE or vma.vm_flags & (VM_MAYSHARE | VM_SHARED | VM_WRITE):
        return False
    mine = page is not None and is_anon(page) and page.test(PG_anon_exclusive)
    return bool(vma.vm_flags & VM_MAYWRITE) and mine


def must_unshare(flags: int, page: Page) -> bool:
    """``gup_must_unshare()``: whether a page has to become the process' own before it is pinned for reading."""
    return flags & (FOLL_WRITE | FOLL_PIN) == FOLL_PIN and is_anon(page) and not page.test(PG_anon_exclusive)


def _unshare(vma: vm_area_struct, address: int) -> int:
    # FAULT_FLAG_UNSHARE
    vmf = vm_fault(vma, address, 0)
    vmf.orig_pte = vmf.pte = vma.vm_mm.pte(address)
    return do_wp_page(vmf)


def _fault_in(vma: vm_area_struct, address: int, request: Request, flags: int, *, unshare: bool) -> int:
    """``faultin_page()``: 0 if the page may be there now, or -errno; -EBUSY if somebody else has to try again."""
    if flags & FOLL_NOFAULT:
        return -errno.EFAULT
    may_wait = request.locked is not None
    fault_flags = FAULT_FLAG_WRITE * bool(flags & FOLL_WRITE) | FAULT_FLAG_REMOTE * bool(flags & FOLL_REMOTE)
    if may_wait:
        fault_flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE
    if flags & FOLL_NOWAIT:
        fault_flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT
    if flags & FOLL_TRIED:
        fault_flags |= FAULT_FLAG_TRIED
    ret = _unshare(vma, address) if unshare else handle_mm_fault(vma, address, fault_flags)
    if ret & VM_FAULT_COMPLETED:
        request.locked = 0 if may_wait else None
        return -errno.EAGAIN
    if ret & VM_FAULT_ERROR:
        return fault_to_errno(ret, flags)
    if ret & VM_FAULT_RETRY:
        if may_wait and not flags & FOLL_NOWAIT:
            request.locked = 0
        return -errno.EBUSY
    return 0


def fault_to_errno(ret: int, flags: int) -> int:
    """``vm_fault_to_errno()``."""
    if ret & VM_FAULT_OOM:
        return -errno.ENOMEM
    if ret & (VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE) and flags & FOLL_HWPOISON:
        return -EHWPOISON
    return -errno.EFAULT


def _check_vma(vma: vm_area_struct, flags: int) -> int:
    """``check_vma_flags()``: whether pages of the area can be had; 0 or -errno."""
    vm_flags = vma.vm_flags
    if vm_flags & (VM_IO | VM_PFNMAP):
        vma.vm_mm.kernel.grabs.on_pfnmap(vma)
        return -errno.EFAULT
    if flags & FOLL_ANON and vma.vm_ops is not None:
        return -errno.EFAULT
    if flags & FOLL_WRITE:
        refused = not vm_flags & VM_WRITE and not (flags & FOLL_FORCE and is_cow_mapping(vm_flags))
    else:
        refused = not vm_flags & VM_READ and not (flags & FOLL_FORCE and vm_flags & VM_MAYREAD)
    return -errno.EFAULT if refused else 0


# -- a range --------------------------------------------------------------------------------------


def walk(request: Request, start: int, nr: int, flags: int) -> int:
    """``__get_user_pages()``: take ``nr`` pages from ``start`` on, faulting them in; the number, or -errno if none."""
    done = err = 0
    vma: vm_area_struct | None = None
    k = request.mm.kernel
    while done < nr:
        if vma is None or start >= vma.vm_end:
            vma = request.mm.vma_lookup(start)
            err = _check_vma(vma, flags) if vma is not None else -errno.EFAULT
            if vma is None or err:
                break
        err = _take(k, request, vma, start, flags)
        if err:
            break
        done += 1
        start += PAGE_SIZE
    return done or min(err, 0)


def _take(k: Kernel, request: Request, vma: vm_area_struct, address: int, flags: int) -> int:
    """Take one page; 0, 1 if the walk is to stop there without an error, or -errno."""
    while True:
        if k.current.signal == SIGKILL:
            return -errno.EINTR
        _cond_resched(k)
        page = _follow_page(vma, address & -PAGE_SIZE, flags)
        if page in (0, -errno.EMLINK):
            err = _fault_in(vma, address, request, flags, unshare=page != 0)
            if err in (-errno.EBUSY, -errno.EAGAIN):
                return _STOPPED
            if err:
                return err
            continue
        if not isinstance(page, int):
            if request.fill:
                request.pages.append(page)
        elif page != -errno.EEXIST or request.fill:
            return page
        request.vmas.append(vma)
        return 0


_STOPPED: Final = 1


def _cond_resched(k: Kernel) -> None:
    cpu = k.cpu
    if cpu.preempt_count or cpu.irqs_off or cpu.task.rcu_depth or cpu.task.non_block:
        k.atomic_sleep.might_sleep("mm/gup.c:1246", "gup-atomic")


def walk_locked(request: Request) -> int:
    """``__get_user_pages_locked()``: :func:`walk`, and again where a fault has dropped the lock meanwhile."""
    mm = request.mm
    flags = request.flags
    if request.locked is not None and request.locked != 1:
        mm.kernel.bug("gup-unlocked-mm", "mm/gup.c:1433")
    if flags & FOLL_PIN:
        mm.has_pinned = True
    if request.fill and not flags & FOLL_PIN:
        flags |= FOLL_GET
    found = walk(request, request.start, request.nr, flags)
    if request.locked != 0:
        return found
    while not request.locked:
        mm.lock("__get_user_pages_locked", read=True)
        request.locked = 1
        found = _go_on(request, 1, flags | FOLL_TRIED)
        if request.locked and found == 1:
            found = _go_on(request, request.nr - len(request.vmas), flags)
    mm.unlock(read=True)
    request.locked = 0
    return len(request.vmas) or found


def _go_on(request: Request, nr: int, flags: int) -> int:
    return walk(request, request.start + len(request.vmas) * PAGE_SIZE, nr, flags)


def walk_longterm(request: Request) -> int:
    """``__gup_longterm_locked()``: pages that are kept for long are moved to where they may stay."""
    if not request.flags & FOLL_LONGTERM:
        return walk_locked(request)
    scopes = request.mm.kernel.page_alloc.scopes
    before = scopes.save("pin")
    try:
        while True:
            found = walk_locked(request)
            if found <= 0:
                return found
            moved = migrate_unpinnable(request)
            if moved != -errno.EAGAIN:
                return moved or found
    finally:
        scopes.restore("pin", before)


def no_mm(k: Kernel, function: str) -> Any:
    """A kernel thread has no address space: ``current->mm->...`` is an oops in ``function``."""
    k.kasan.page_fault(0, write=False, origin=None, by=function, n=8)
