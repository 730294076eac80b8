"""Mappings taken away again, and looked at (``zap_vma_ptes()``, ``unmap_mapping_range()``, ``follow_pte()``; ``mm/memory.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.hw.mmu import PTE_PFN_MASK, PTE_RW
from kmock.kernel import spinlock
from kmock.mm.mm_struct import PTE_SOFT_PRESENT
from kmock.mm.pgprot import pgprot2cachemode
from kmock.mm.rmap import is_anon
from kmock.mm.track_pfn import untrack_pfn
from kmock.mm.unmap import zap_range
from kmock.mm.vm_flags import VM_IO, VM_PFNMAP
from kmock.sanitizers.string_checks import load, store

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.spinlock import spinlock_t
    from kmock.machine import Kernel
    from kmock.mm.address_space import address_space
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct

PAGE_SIZE: Final = 4096
_ULONG: Final = 1 << 64


def zap_vma_ptes(vma: vm_area_struct, address: int, size: int) -> int:
    """``zap_vma_ptes()``: take frames away that lie in one VM_PFNMAP area; -1, and nothing done, where they don't."""
    k = vma.vm_mm.kernel
    end = address + size
    if not vma.vm_start <= address <= end <= vma.vm_end or not vma.vm_flags & VM_PFNMAP:
        k.pfnmaps.not_zapped(vma, address, end)
        return -1
    k.pfnmaps.changing(vma, "zap_vma_ptes")
    _zap(vma, address, end)
    return 0


def _zap(vma: vm_area_struct, start: int, end: int, keep: Callable[[Page | None], bool] | None = None) -> None:
    # unmap_single_vma()
    if vma.vm_flags & VM_PFNMAP:
        untrack_pfn(vma)
    zap_range(vma, start, end, keep)


def zap_page_range(vma: vm_area_struct, start: int, size: int) -> None:
    """``zap_page_range()``: take the pages of a range away that begins in ``vma`` and may go on in those behind it."""
    mm = vma.vm_mm
    mm.kernel.pfnmaps.changing(vma, "zap_page_range")
    for area in mm.between(start, start + size):
        _zap(area, start, start + size)


def unmap_mapping_range(k: Kernel, mapping: address_space, begin: int, length: int, *, even_cows: bool) -> None:
    """``unmap_mapping_range()``: take a part of a file away from all who map it; a length of 0 is all the rest."""
    first = begin >> 12
    pages = length + PAGE_SIZE - 1 >> 12
    last = first + pages - 1 if pages else _ULONG
    k.atomic_sleep.might_sleep("kernel/locking/rwsem.c:1519")  # i_mmap_lock_read()
    for vma in list(mapping.i_mmap):
        low = max(first, vma.vm_pgoff)
        high = min(last, vma.vm_pgoff + vma.pages - 1)
        if low > high:
            continue
        start = vma.vm_start + (low - vma.vm_pgoff << 12)
        _zap(vma, start, start + (high - low + 1 << 12), None if even_cows else _is_copy)


def _is_copy(page: Page | None) -> bool:
    return page is not None and is_anon(page)


# -- looking --------------------------------------------------------------------------------------


class pte_t:
    """``pte_t *``: one entry of a page table; C's ``*ptep`` is ``ptep.value`` or ``ptep[0]``."""

    __slots__ = ("address", "mm")

    def __init__(self, mm: mm_struct, address: int) -> None:
        self.mm = mm
        self.address = address & -PAGE_SIZE

    @property
    def value(self) -> int:
        """The entry now."""
        return self.mm.pte(self.address)

    def __getitem__(self, index: int) -> int:
        return pte_t(self.mm, self.address + index * PAGE_SIZE).value

    def __repr__(self) -> str:
        return f"<pte {self.value:#x} of {self.address:#x}>"


def follow_pte(mm: mm_struct, address: int) -> pte_t | None:
    """``follow_pte()``: the entry for ``address``, with its lock held; None, and no lock, where nothing is mapped."""
    if not mm.pte(address) & PTE_SOFT_PRESENT:
        return None
    return pte_t(mm, address)


def lock_table(mm: mm_struct) -> spinlock_t:
    """Take the lock of a page table: one for all of an address space."""
    spinlock.lock(mm.kernel, mm.page_table_lock, "spin_lock")
    return mm.page_table_lock


def unlock_table(k: Kernel, lock: spinlock_t) -> None:
    """``pte_unmap_unlock()``."""
    spinlock.unlock(k, lock, "spin_unlock")


def follow_pfn(vma: vm_area_struct, address: int) -> tuple[int, int]:
    """``follow_pfn()``: 0 and the frame that is shown at ``address``, or -EINVAL; no reference to it is taken."""
    k = vma.vm_mm.kernel
    entry = vma.vm_mm.pte(address)
    if not vma.vm_flags & (VM_IO | VM_PFNMAP) or not entry & PTE_SOFT_PRESENT:
        return -errno.EINVAL, 0
    k.pfnmaps.changing(vma, "follow_pfn")
    return 0, (entry & PTE_PFN_MASK) >> 12


def generic_access_phys(vma: vm_area_struct, address: int, buffer: Any, length: int, *, write: bool) -> int:
    """``generic_access_phys()``: what a debugger sees of device memory: copy it by way of ioremap(); length or -errno.

    ``buffer`` is a pointer, or a ``bytearray`` that stands for a local array.
    """
    k = vma.vm_mm.kernel
    entry = vma.vm_mm.pte(address)
    if not vma.vm_flags & (VM_IO | VM_PFNMAP) or not entry & PTE_SOFT_PRESENT or (write and not entry & PTE_RW):
        return -errno.EINVAL
    offset = address & PAGE_SIZE - 1
    phys = entry & PTE_PFN_MASK
    size = offset + length + PAGE_SIZE - 1 & -PAGE_SIZE
    maddr = k.ioremap.map(phys, size, pgprot2cachemode(entry), "ioremap_prot")
    if not maddr:
        return -errno.ENOMEM
    places = range(maddr + offset, maddr + offset + length)
    if write:
        for at, value in zip(places, load(k, buffer, length), strict=True):
            k.ioremap.io.write(value, at, 1)
    else:
        store(k, buffer, bytes(k.ioremap.io.read(at, 1) for at in places))
    k.ioremap.unmap(maddr)
    return length
