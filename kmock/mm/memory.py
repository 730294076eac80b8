"""A page that isn't there, or may not be written to: who brings it, and what becomes of it (``mm/memory.c``).

Callers hold ``mmap_lock``. Functions return a ``vm_fault_t``; 0 is success.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_RW, PTE_SPECIAL
from kmock.mm.cow import copy_page, dirty_shared_page, do_wp_page, new_entry, page_mkwrite, user_page
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_HIGHUSER_MOVABLE
from kmock.mm.page import PG_locked
from kmock.mm.rmap import add_file_rmap, add_new_anon_rmap, anon_vma_prepare, put_user_page
from kmock.mm.vm_fault import (
    FAULT_FLAG_WRITE,
    VM_FAULT_DONE_COW,
    VM_FAULT_ERROR,
    VM_FAULT_LOCKED,
    VM_FAULT_NOPAGE,
    VM_FAULT_OOM,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    ZERO_PFN,
    vm_fault,
)
from kmock.mm.vm_flags import VM_SHARED

if TYPE_CHECKING:
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct

_FAILED: Final = VM_FAULT_ERROR | VM_FAULT_NOPAGE | VM_FAULT_RETRY
FAULT_AROUND_PAGES: Final = 16
"""``fault_around_bytes``, in pages."""


def handle_mm_fault(vma: vm_area_struct, address: int, flags: int) -> int:
    """``handle_mm_fault()``: make ``address``, which lies in ``vma``, accessible."""
    vmf = vm_fault(vma, address, flags)
    mm = vma.vm_mm
    entry = vmf.orig_pte = vmf.pte = mm.pte(address)
    if not entry:
        return _anonymous_page(vmf) if vma.vm_ops is None else _do_fault(vmf)
    if flags & FAULT_FLAG_WRITE:
        if not entry & PTE_RW:
            return do_wp_page(vmf)
        entry |= PTE_DIRTY
    mm.set_pte(address, entry | PTE_ACCESSED)
    return 0


# -- anonymous memory -----------------------------------------------------------------------------


def _anonymous_page(vmf: vm_fault) -> int:
    # do_anonymous_page()
    vma = vmf.vma
    mm = vma.vm_mm
    if vma.vm_flags & VM_SHARED:
        return VM_FAULT_SIGBUS  # a file's area whose driver took the operations away
    if not vmf.flags & FAULT_FLAG_WRITE:
        mm.set_pte(vmf.address, ZERO_PFN << 12 | vma.vm_page_prot | PTE_SPECIAL)
        return 0
    anon_vma_prepare(vma)
    page = user_page(mm.kernel, GFP_HIGHUSER_MOVABLE | GFP_ZERO)
    if page is None:
        return VM_FAULT_OOM
    add_new_anon_rmap(mm, page, vma, vmf.address)
    mm.set_pte(vmf.address, new_entry(vmf, page, write=True))
    return 0


# -- a file's pages -------------------------------------------------------------------------------


def _do_fault(vmf: vm_fault) -> int:
    # do_fault()
    ops = vmf.vma.vm_ops
    assert ops is not None
    if ops.handler is None:
        return VM_FAULT_SIGBUS
    if not vmf.flags & FAULT_FLAG_WRITE:
        return _read_fault(vmf)
    return _shared_fault(vmf) if vmf.vma.vm_flags & VM_SHARED else _cow_fault(vmf)


def _call_fault(vmf: vm_fault) -> int:
    # __do_fault()
    k = vmf.vma.vm_mm.kernel
    assert vmf.vma.vm_ops is not None
    ret = k.mappings.call_fault(vmf)
    if ret & (_FAILED | VM_FAULT_DONE_COW):
        return ret
    page = vmf.page
    if page is None:
        k.mappings.no_page(vmf)
    elif not ret & VM_FAULT_LOCKED:
        k.page_alloc.locks.lock(page)
    elif not (page.head or page).test(PG_locked):
        k.mappings.not_locked(vmf, "mm/memory.c:4304", vmf.vma.vm_ops.handler, "!PageLocked(vmf->page)")
    return ret | VM_FAULT_LOCKED


def _fault_around(vmf: vm_fault) -> int:
    # do_fault_around()
    vma = vmf.vma
    assert vma.vm_ops is not None
    address = max(vmf.address & -(FAULT_AROUND_PAGES << 12), vma.vm_start)
    start = vmf.pgoff - ((vmf.address - address) >> 12)
    end = start - (address >> 12 & 511) + 511
    end = min(end, vma.pages + vma.vm_pgoff - 1, start + FAULT_AROUND_PAGES - 1)
    return int(vma.vm_ops.map_pages(vmf, start, end) or 0)


def _read_fault(vmf: vm_fault) -> int:
    # do_read_fault()
    assert vmf.vma.vm_ops is not None
    if vmf.vma.vm_ops.map_pages is not None and (ret := _fault_around(vmf)):
        return ret
    ret = _call_fault(vmf)
    if ret & (_FAILED | VM_FAULT_DONE_COW):
        return ret
    return _finish(vmf, ret, vmf.page)


def _finish(vmf: vm_fault, ret: int, page: Page | None) -> int:
    """Map ``page`` where there is nothing yet, and let the handler's page go if that can't be."""
    assert page is not None
    assert vmf.page is not None
    k = vmf.vma.vm_mm.kernel
    ret |= _finish_fault(vmf, page)
    k.page_alloc.locks.unlock(vmf.page)
    if ret & _FAILED or page is not vmf.page:
        put_user_page(k, vmf.page)
    return ret


def _finish_fault(vmf: vm_fault, page: Page) -> int:
    # finish_fault() and do_set_pte()
    vma = vmf.vma
    mm = vma.vm_mm
    if mm.pte(vmf.address):
        return VM_FAULT_NOPAGE
    write = bool(vmf.flags & FAULT_FLAG_WRITE)
    if write and not vma.vm_flags & VM_SHARED:
        add_new_anon_rmap(mm, page, vma, vmf.address)
    else:
        add_file_rmap(mm, page)
    mm.set_pte(vmf.address, new_entry(vmf, page, write=write))
    return 0


def _cow_fault(vmf: vm_fault) -> int:
    # do_cow_fault()
    k = vmf.vma.vm_mm.kernel
    anon_vma_prepare(vmf.vma)
    copy = vmf.cow_page = user_page(k)
    if copy is None:
        return VM_FAULT_OOM
    ret = _call_fault(vmf)
    if ret & VM_FAULT_DONE_COW:
        return ret
    if not ret & _FAILED:
        assert vmf.page is not None
        copy_page(k, copy, vmf.page.pfn)
        ret = _finish(vmf, ret, copy)
    if ret & _FAILED:
        put_user_page(k, copy)
    return ret


def _shared_fault(vmf: vm_fault) -> int:
    # do_shared_fault()
    k = vmf.vma.vm_mm.kernel
    ret = _call_fault(vmf)
    if ret & (_FAILED | VM_FAULT_DONE_COW):
        return ret
    page = vmf.page
    assert page is not None
    assert vmf.vma.vm_ops is not None
    locks = k.page_alloc.locks
    if vmf.vma.vm_ops.page_mkwrite is not None:
        locks.unlock(page)
        asked = page_mkwrite(vmf)
        if not asked or asked & (VM_FAULT_ERROR | VM_FAULT_NOPAGE):
            put_user_page(k, page)
            return asked
    ret |= _finish_fault(vmf, page)
    if ret & _FAILED:
        locks.unlock(page)
        put_user_page(k, page)
        return ret
    return ret | dirty_shared_page(vmf, page)
