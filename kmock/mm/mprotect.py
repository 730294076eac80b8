"""``mprotect()`` (``mm/mprotect.c``). Callers hold ``mmap_lock`` for writing."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_DIRTY, PTE_RW
from kmock.mm.mm_struct import PTE_SOFT_PRESENT
from kmock.mm.mmap import page_align
from kmock.mm.rmap import PG_anon_exclusive, is_anon
from kmock.mm.unmap import vm_normal_page
from kmock.mm.vm_flags import (
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_HUGETLB,
    VM_NORESERVE,
    VM_SHARED,
    VM_WRITE,
    calc_vm_prot_bits,
)
from kmock.mm.vma import pgprot_modify, set_page_prot, wants_writenotify
from kmock.mm.vma_merge import split_vma, vma_merge

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vma import vm_area_struct

PROT_GROWSDOWN: Final = 0x0100_0000
PROT_GROWSUP: Final = 0x0200_0000
PROT_SEM: Final = 0x8
_KNOWN: Final = 0x7 | PROT_SEM


def do_mprotect(mm: mm_struct, start: int, length: int, prot: int) -> int:
    """``do_mprotect_pkey()``: give ``[start, start + length)`` another protection; 0 or -errno."""
    prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP)
    if start & 4095:
        return -errno.EINVAL
    if not length:
        return 0
    end = start + page_align(length)
    if end > 1 << 64:
        return -errno.ENOMEM
    if prot & ~_KNOWN:
        return -errno.EINVAL
    at = start
    while at < end:
        vma = mm.vma_lookup(at)
        if vma is None:
            return -errno.ENOMEM
        flags = calc_vm_prot_bits(prot) | vma.vm_flags & ~VM_ACCESS_FLAGS
        if flags & ~(flags >> 4) & VM_ACCESS_FLAGS:
            return -errno.EACCES
        stop = min(vma.vm_end, end)
        ops = vma.vm_ops
        if ops is not None and ops.mprotect is not None and (err := ops.mprotect(vma, at, stop, flags)):
            return int(err)
        if err := _fixup(mm, vma, at, stop, flags):
            return err
        at = stop
    return 0


def change_flags(mm: mm_struct, vma: vm_area_struct, start: int, end: int, flags: int) -> vm_area_struct | int:
    """Give one part of an area other flags, by merging or by cutting; the area that has them, or -errno."""
    merged = vma_merge(mm, start, end, flags, vma.anon_vma, vma.vm_file, vma.pgoff_of(start))
    if merged is not None:
        return merged
    if start != vma.vm_start and (err := split_vma(mm, vma, start, new_below=True)):
        return err
    if end != vma.vm_end and (err := split_vma(mm, vma, end, new_below=False)):
        return err
    vma.vm_flags = flags
    return vma


def _fixup(mm: mm_struct, vma: vm_area_struct, start: int, end: int, flags: int) -> int:
    # mprotect_fixup()
    old = vma.vm_flags
    if flags == old:
        return 0
    if flags & VM_WRITE and not old & (VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE):
        flags |= VM_ACCOUNT
    found = change_flags(mm, vma, start, end, flags)
    if isinstance(found, int):
        return found
    set_page_prot(found)
    _change_protection(found, start, end)
    return 0


def _change_protection(vma: vm_area_struct, start: int, end: int) -> None:
    # change_pte_range()
    mm = vma.vm_mm
    upgrade = wants_writenotify(vma, vma.vm_page_prot) if vma.vm_flags & VM_SHARED else vma.vm_flags & VM_WRITE
    for address in mm.mapped(start, end):
        entry = mm.pte(address)
        if not entry & PTE_SOFT_PRESENT:
            continue
        entry = pgprot_modify(entry, vma.vm_page_prot)
        if upgrade and not entry & PTE_RW and _may_write(vma, address, entry):
            entry |= PTE_RW
        mm.set_pte(address, entry)


def _may_write(vma: vm_area_struct, address: int, entry: int) -> bool:
    # can_change_pte_writable()
    if not vma.vm_flags & VM_WRITE:
        return False
    if vma.vm_flags & VM_SHARED:
        return bool(entry & PTE_DIRTY)
    page = vm_normal_page(vma, address, entry)
    return page is not None and is_anon(page) and page.test(PG_anon_exclusive)
