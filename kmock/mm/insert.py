"""Single pages and frames into a process' area (``vm_insert_page()``, ``vmf_insert_pfn()`` and their kin, ``mm/memory.c``).

``vm_`` functions return 0 or -errno, ``vmf_`` functions a ``vm_fault_t``.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_ACCESSED, PTE_DIRTY, PTE_PFN_MASK, PTE_RW, PTE_SPECIAL
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.might_alloc import might_alloc
from kmock.mm.rmap import add_file_rmap
from kmock.mm.track_pfn import track_pfn_insert
from kmock.mm.vm_fault import VM_FAULT_NOPAGE, VM_FAULT_OOM, VM_FAULT_SIGBUS, ZERO_PFN
from kmock.mm.vm_flags import VM_MIXEDMAP, VM_PFNMAP, VM_WRITE, is_cow_mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct

PAGE_SIZE: Final = 4096
_ULONG: Final = 1 << 64
_BOTH: Final = VM_PFNMAP | VM_MIXEDMAP

PFN_SPECIAL: Final = 1 << 59
PFN_DEV: Final = 1 << 61
PFN_MAP: Final = 1 << 60
PFN_SG_CHAIN: Final = 1 << 63
PFN_SG_LAST: Final = 1 << 62
PFN_FLAGS_MASK: Final = 0xFFF << 52
"""What a ``pfn_t`` says of its frame beside the number (``include/linux/pfn_t.h``)."""


def page_table(mm: mm_struct, address: int) -> bool:
    """``__get_locked_pte()``: have a page table for ``address``; False if there is no memory for one."""
    number = address >> 21
    if number in mm.tables:
        return True
    k = mm.kernel
    might_alloc(k, GFP_KERNEL)
    if k.faults.active and k.faults.should_fail_alloc_page(GFP_KERNEL, 0):
        return False
    mm.tables[number] = 0
    return True


# -- pages ----------------------------------------------------------------------------------------


def _begin(vma: vm_area_struct, at: int) -> None:
    """Make the area one of pages with a reference each, which only its owner under the lock may do."""
    mm = vma.vm_mm
    k = mm.kernel
    if vma.vm_flags & VM_MIXEDMAP:
        k.pfnmaps.inserting(vma)
        return
    if mm.mmap_lock.of(k).owner is None:  # mmap_read_trylock() would get it
        k.bug("insert-page-unlocked", f"mm/memory.c:{at}")
    if vma.vm_flags & VM_PFNMAP:
        k.bug("insert-pfn-flags", f"mm/memory.c:{at + 1}")
    vma.vm_flags |= VM_MIXEDMAP


def vm_insert_page(vma: vm_area_struct, address: int, page: Page) -> int:
    """``vm_insert_page()``: show ``page`` at ``address``."""
    k = vma.vm_mm.kernel
    if not vma.vm_start <= address < vma.vm_end:
        k.pfnmaps.outside(vma, address, "vm_insert_page")
        return -errno.EFAULT
    if not (page.head or page)._refcount:
        k.pfnmaps.unreferenced(page, "vm_insert_page")
        return -errno.EINVAL
    _begin(vma, 2054)
    if k.pfnmaps.bad_type(page, "vm_insert_page"):
        return -errno.EINVAL
    if not page_table(vma.vm_mm, address):
        return -errno.ENOMEM
    return _insert(vma, address, page)


def _insert(vma: vm_area_struct, address: int, page: Page) -> int:
    # insert_page_into_pte_locked()
    mm = vma.vm_mm
    if mm.pte(address):
        return -errno.EBUSY
    (page.head or page)._refcount += 1
    add_file_rmap(mm, page)
    mm.set_pte(address & -PAGE_SIZE, page.pfn << 12 | vma.vm_page_prot)
    return 0


def vm_insert_pages(vma: vm_area_struct, address: int, pages: Sequence[Page], num: int) -> tuple[int, int]:
    """``vm_insert_pages()``: show ``num`` pages from ``address`` on; 0 or -errno, and how many are left."""
    k = vma.vm_mm.kernel
    end = (address + num * PAGE_SIZE - 1) % _ULONG
    if address < vma.vm_start or end >= vma.vm_end:
        k.pfnmaps.outside(vma, address, "vm_insert_pages")
        return -errno.EFAULT, num
    _begin(vma, 1996)
    for i in range(num):
        err = _insert_next(k, vma, address + i * PAGE_SIZE, pages[i])
        if err:
            return err, num - i
    return 0, 0


def _insert_next(k: Kernel, vma: vm_area_struct, address: int, page: Page) -> int:
    # insert_page_in_batch_locked()
    if not page_table(vma.vm_mm, address):
        return -errno.ENOMEM
    if not (page.head or page)._refcount:
        k.pfnmaps.unreferenced(page, "vm_insert_pages")
        return -errno.EINVAL
    if k.pfnmaps.bad_type(page, "vm_insert_pages"):
        return -errno.EINVAL
    return _insert(vma, address, page)


def vm_map_pages(vma: vm_area_struct, pages: Sequence[Page], num: int, offset: int) -> int:
    """``__vm_map_pages()``: show an object of ``num`` pages, from page ``offset`` on, all over the area."""
    if offset >= num or vma.pages > num - offset:
        return -errno.ENXIO
    for i in range(vma.pages):
        err = vm_insert_page(vma, vma.vm_start + i * PAGE_SIZE, pages[offset + i])
        if err:
            return err
    return 0


# -- frames ---------------------------------------------------------------------------------------


def _insert_pfn(vma: vm_area_struct, address: int, pfn: int, prot: int, *, mkwrite: bool) -> int:
    """``insert_pfn()``: show a frame without counting it; what is there already stays."""
    mm = vma.vm_mm
    if not page_table(mm, address):
        return VM_FAULT_OOM
    number = pfn & ~PFN_FLAGS_MASK
    entry = mm.pte(address)
    may_write = PTE_RW if vma.vm_flags & VM_WRITE else 0
    if not entry:
        entry = number << 12 & PTE_PFN_MASK | prot | PTE_SPECIAL
        if mkwrite:
            entry |= PTE_ACCESSED | PTE_DIRTY | may_write
        mm.set_pte(address & -PAGE_SIZE, entry)
        mm.kernel.pfnmaps.shown(vma, address & -PAGE_SIZE, number, 1)
    elif (entry & PTE_PFN_MASK) >> 12 != number:
        mm.kernel.pfnmaps.occupied(vma, address, (entry & PTE_PFN_MASK) >> 12, number)
        if mkwrite and (entry & PTE_PFN_MASK) >> 12 != ZERO_PFN:
            mm.kernel.warn("remap-occupied", "mm/memory.c:2166", "insert_pfn", key=vma)
    elif mkwrite:
        mm.set_pte(address & -PAGE_SIZE, entry | PTE_ACCESSED | PTE_DIRTY | may_write)
    return VM_FAULT_NOPAGE


def vmf_insert_pfn(vma: vm_area_struct, address: int, pfn: int, prot: int) -> int:
    """``vmf_insert_pfn_prot()``: show a frame in an area that is VM_PFNMAP, or one without a page in a VM_MIXEDMAP one."""
    k = vma.vm_mm.kernel
    flags = vma.vm_flags
    if not flags & _BOTH:
        k.bug("insert-pfn-flags", "mm/memory.c:2226")
    if flags & _BOTH == _BOTH:
        k.bug("insert-pfn-flags", "mm/memory.c:2227")
    if flags & VM_PFNMAP and is_cow_mapping(flags):
        k.bug("insert-pfn-flags", "mm/memory.c:2229")
    if flags & VM_MIXEDMAP and k.memmap.valid(pfn):
        k.bug("insert-mixed-struct-page", "mm/memory.c:2230")
    if not vma.vm_start <= address < vma.vm_end:
        k.pfnmaps.outside(vma, address, "vmf_insert_pfn")
        return VM_FAULT_SIGBUS
    return _insert_pfn(vma, address, pfn, track_pfn_insert(vma, prot, pfn), mkwrite=False)


def vmf_insert_mixed(vma: vm_area_struct, address: int, pfn: int, prot: int, *, mkwrite: bool) -> int:
    """``__vm_insert_mixed()``: show the frame of a ``pfn_t`` in an area of mixed contents."""
    k = vma.vm_mm.kernel
    number = pfn & ~PFN_FLAGS_MASK
    devmap = pfn & (PFN_DEV | PFN_MAP) == PFN_DEV | PFN_MAP
    special = pfn & PFN_SPECIAL
    if not (vma.vm_flags & VM_MIXEDMAP or devmap or special or number == ZERO_PFN):
        k.bug("insert-pfn-flags", "mm/memory.c:2292")
    if not vma.vm_start <= address < vma.vm_end:
        k.pfnmaps.outside(vma, address, "vmf_insert_mixed")
        return VM_FAULT_SIGBUS
    return _insert_pfn(vma, address, pfn, track_pfn_insert(vma, prot, number), mkwrite=mkwrite)
