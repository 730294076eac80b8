"""A child's address space, and the end of one (``kernel/fork.c``, ``copy_page_range()`` of ``mm/memory.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_RW
from kmock.mm.cow import copy_page, user_page
from kmock.mm.mmap import exit_mmap
from kmock.mm.rmap import (
    COUNTER_NAMES,
    AnonVma,
    PG_anon_exclusive,
    add_new_anon_rmap,
    counter_of,
    is_anon,
)
from kmock.mm.unmap import vm_normal_page
from kmock.mm.vm_flags import (
    VM_DONTCOPY,
    VM_LOCKED_MASK,
    VM_MIXEDMAP,
    VM_PFNMAP,
    VM_SHARED,
    VM_WIPEONFORK,
    VM_WRITE,
    is_cow_mapping,
)
from kmock.mm.vma_merge import link

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct

GUP_PIN_COUNTING_BIAS: Final = 1024


def dup_mm(old: mm_struct) -> mm_struct | int:
    """``dup_mm()``: return an address space like ``old``, whose private pages both copy before they write; or -errno."""
    new = old.dup()
    err = 0
    with old.locked("dup_mmap"):
        new.lock("dup_mmap", subclass=1)
        for vma in list(old.vmas.values()):
            if not vma.vm_flags & VM_DONTCOPY and (err := _dup_vma(new, vma)):
                break
        new.unlock()
    if err:
        mmput(new)
        return err
    return new


def _dup_vma(mm: mm_struct, old: vm_area_struct) -> int:
    new = old.dup(mm)
    new.vm_flags &= ~VM_LOCKED_MASK
    new.anon_vma = None
    if old.anon_vma is not None and not old.vm_flags & VM_WIPEONFORK:
        new.anon_vma = AnonVma(forked=True)
    if new.vm_file is not None:
        new.vm_file.f_count += 1
    link(mm, new)
    mm.total_vm += new.pages
    err = 0
    if not new.vm_flags & VM_WIPEONFORK and (old.vm_flags & (VM_PFNMAP | VM_MIXEDMAP) or old.anon_vma is not None):
        err = copy_page_range(new, old)
    mm.kernel.mappings.opened(new, old)
    return err


def copy_page_range(new: vm_area_struct, old: vm_area_struct) -> int:
    """``copy_page_range()``: let the child's area show the parent's pages; 0 or -errno."""
    mm = old.vm_mm
    cow = is_cow_mapping(old.vm_flags)
    for address in mm.mapped(old.vm_start, old.vm_end):
        entry = mm.pte(address)
        page = vm_normal_page(old, address, entry)
        if page is not None and is_anon(page) and _pinned(mm, page):
            if not _copy_now(new, address, page):
                return -errno.ENOMEM
            continue
        if page is not None:
            (page.head or page)._refcount += 1
            page._mapcount += 1
            new.vm_mm.rss[counter_of(page)] += 1
            if is_anon(page):
                page.clear(PG_anon_exclusive)
        if cow and entry & PTE_RW:
            entry &= ~PTE_RW
            mm.set_pte(address, entry)
        if old.vm_flags & VM_SHARED:
            entry &= ~PTE_DIRTY
        new.vm_mm.set_pte(address, entry & ~PTE_ACCESSED)
    return 0


def _pinned(mm: mm_struct, page: Page) -> bool:
    # page_needs_cow_for_dma()
    return mm.has_pinned and page.compound_head._refcount >= GUP_PIN_COUNTING_BIAS


def _copy_now(vma: vm_area_struct, address: int, page: Page) -> bool:
    # copy_present_page(): what a device writes to stays the parent's
    k = vma.vm_mm.kernel
    copy = user_page(k)
    if copy is None:
        return False
    copy_page(k, copy, page.pfn)
    add_new_anon_rmap(vma.vm_mm, copy, vma, address)
    entry = copy.pfn << 12 | vma.vm_page_prot | PTE_DIRTY
    vma.vm_mm.set_pte(address, entry | (PTE_RW if vma.vm_flags & VM_WRITE else 0))
    return True


def mmput(mm: mm_struct) -> None:
    """``mmput()``: let go of an address space; the last user's end empties it."""
    mm.mm_users -= 1
    if mm.mm_users:
        return
    free = not mm.is_locked()
    if free:
        mm.lock("exit_mmap")
    exit_mmap(mm)
    if free:
        mm.unlock()
    mmdrop(mm)


def mmdrop(mm: mm_struct) -> None:
    """``mmdrop()``: let go of the structure; the last one's end checks that nothing is counted any more."""
    mm.mm_count -= 1
    if not mm.mm_count:
        mm.kernel.mappings.check_mm(mm, COUNTER_NAMES)
