"""A page that may not be written to yet: the private copy, or the word of its driver (``do_wp_page()``, ``mm/memory.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_PFN_MASK, PTE_RW
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_HIGHUSER_MOVABLE
from kmock.mm.mm_struct import USER_MEMORY
from kmock.mm.page import PG_locked
from kmock.mm.page_writeback import set_page_dirty
from kmock.mm.rmap import PG_anon_exclusive, add_new_anon_rmap, anon_vma_prepare, is_anon, put_user_page, remove_rmap
from kmock.mm.unmap import vm_normal_page
from kmock.mm.vm_fault import (
    FAULT_FLAG_MKWRITE,
    FAULT_FLAG_WRITE,
    VM_FAULT_ERROR,
    VM_FAULT_LOCKED,
    VM_FAULT_NOPAGE,
    VM_FAULT_OOM,
    VM_FAULT_WRITE,
    ZERO_PFN,
    vm_fault,
)
from kmock.mm.vm_flags import VM_SHARED, VM_WRITE

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

_SHARED_WRITE: Final = VM_WRITE | VM_SHARED
_REFUSED: Final = VM_FAULT_ERROR | VM_FAULT_NOPAGE


def user_page(k: Kernel, gfp: int = GFP_HIGHUSER_MOVABLE) -> Page | None:
    """Take a page for a process; None if there is none."""
    return k.page_alloc.alloc_pages(gfp, 0, owner=USER_MEMORY)


def new_entry(vmf: vm_fault, page: Page, *, write: bool) -> int:
    """``mk_pte()``, and ``maybe_mkwrite(pte_mkdirty())`` for a write."""
    vma = vmf.vma
    entry = page.pfn << 12 | vma.vm_page_prot | PTE_ACCESSED
    if write:
        entry |= PTE_DIRTY | (PTE_RW if vma.vm_flags & VM_WRITE else 0)
    return entry


def copy_page(k: Kernel, to: Page, pfn: int) -> None:
    """``copy_user_highpage()``: a private copy begins as what it is a copy of."""
    memory = k.ram.bytes
    if k.memmap.valid(pfn):
        memory[to.phys : to.phys + 4096] = memory[pfn << 12 : pfn + 1 << 12]
    else:
        # Device memory: __wp_page_copy_user() reads it through the mapping.
        window = k.bus.overlapping(pfn << 12, pfn + 1 << 12)
        data = b"".join(
            (window.read((pfn << 12) + i - window.base, 4) if window is not None else 0).to_bytes(4, "little")
            for i in range(0, 4096, 4)
        )
        memory[to.phys : to.phys + 4096] = data


def dirty_shared_page(vmf: vm_fault, page: Page) -> int:
    """``fault_dirty_shared_page()``: a page of a shared mapping is written to; it is locked, and is unlocked."""
    set_page_dirty(page)
    vmf.vma.vm_mm.kernel.page_alloc.locks.unlock(page)
    return 0


def page_mkwrite(vmf: vm_fault) -> int:
    """``do_page_mkwrite()``: ask the driver; 0 where the fault is to be tried again, else the page is locked."""
    k = vmf.vma.vm_mm.kernel
    page = vmf.page
    assert page is not None
    assert vmf.vma.vm_ops is not None
    flags, vmf.flags = vmf.flags, FAULT_FLAG_WRITE | FAULT_FLAG_MKWRITE
    ret = k.mappings.call(vmf, vmf.vma.vm_ops.page_mkwrite)
    vmf.flags = flags
    if ret & (VM_FAULT_ERROR | VM_FAULT_NOPAGE):
        return ret
    locks = k.page_alloc.locks
    if ret & VM_FAULT_LOCKED:
        if not (page.head or page).test(PG_locked):
            k.mappings.not_locked(vmf, "mm/memory.c:3000", vmf.vma.vm_ops.page_mkwrite, "!PageLocked(page)")
        return ret
    locks.lock(page)
    if page.mapping is None:
        locks.unlock(page)
        return 0
    return ret | VM_FAULT_LOCKED


def _reuse(vmf: vm_fault) -> None:
    # wp_page_reuse()
    entry = vmf.orig_pte | PTE_ACCESSED | PTE_DIRTY
    vmf.vma.vm_mm.set_pte(vmf.address, entry | (PTE_RW if vmf.vma.vm_flags & VM_WRITE else 0))


def do_wp_page(vmf: vm_fault) -> int:
    """``do_wp_page()``: a write to a page that is there and may only be read."""
    vma = vmf.vma
    page = vmf.page = vm_normal_page(vma, vmf.address, vmf.orig_pte)
    shared = vma.vm_flags & _SHARED_WRITE == _SHARED_WRITE
    if page is None:
        return _wp_pfn_shared(vmf) if shared else _wp_page_copy(vmf, None)
    from_anon = is_anon(page)
    if from_anon and _only_mine(page):
        _reuse(vmf)
        return VM_FAULT_WRITE
    return _wp_page_shared(vmf, page) if shared and not from_anon else _wp_page_copy(vmf, page)


def _only_mine(page: Page) -> bool:
    """Whether nobody else has an anonymous page, so that it needs no copy."""
    if page.test(PG_anon_exclusive):
        return True
    if page._refcount > 1 or page.test(PG_locked):
        return False
    page.set(PG_anon_exclusive)
    return True


def _wp_pfn_shared(vmf: vm_fault) -> int:
    # wp_pfn_shared()
    ops = vmf.vma.vm_ops
    if ops is not None and ops.pfn_mkwrite is not None:
        vmf.flags |= FAULT_FLAG_MKWRITE
        ret = vmf.vma.vm_mm.kernel.mappings.call(vmf, ops.pfn_mkwrite)
        return (ret & _REFUSED and ret) or _finish_mkwrite(vmf)
    _reuse(vmf)
    return VM_FAULT_WRITE


def _finish_mkwrite(vmf: vm_fault) -> int:
    # finish_mkwrite_fault()
    if vmf.vma.vm_mm.pte(vmf.address) != vmf.orig_pte:
        return VM_FAULT_NOPAGE
    _reuse(vmf)
    return 0


def _wp_page_shared(vmf: vm_fault, page: Page) -> int:
    # wp_page_shared()
    k = vmf.vma.vm_mm.kernel
    ops = vmf.vma.vm_ops
    (page.head or page)._refcount += 1
    if ops is None or ops.page_mkwrite is None:
        _reuse(vmf)
        k.page_alloc.locks.lock(page)
    else:
        asked = page_mkwrite(vmf)
        if not asked or asked & _REFUSED:
            put_user_page(k, page)
            return asked
        asked = _finish_mkwrite(vmf)
        if asked & _REFUSED:
            k.page_alloc.locks.unlock(page)
            put_user_page(k, page)
            return asked
    ret = VM_FAULT_WRITE | dirty_shared_page(vmf, page)
    put_user_page(k, page)
    return ret


def _wp_page_copy(vmf: vm_fault, old: Page | None) -> int:
    # wp_page_copy()
    vma = vmf.vma
    mm = vma.vm_mm
    k = mm.kernel
    anon_vma_prepare(vma)
    pfn = (vmf.orig_pte & PTE_PFN_MASK) >> 12
    new = user_page(k, GFP_HIGHUSER_MOVABLE | (GFP_ZERO if pfn == ZERO_PFN else 0))
    if new is None:
        return VM_FAULT_OOM
    if pfn != ZERO_PFN:
        copy_page(k, new, pfn)
    if old is not None:
        remove_rmap(mm, old)
    add_new_anon_rmap(mm, new, vma, vmf.address)
    mm.set_pte(vmf.address, new_entry(vmf, new, write=True))
    if old is not None:
        put_user_page(k, old)
    return VM_FAULT_WRITE
