"""Ranges of frames, and of vmalloc()ed pages, into a process' area (``remap_pfn_range()``, ``mm/memory.c``; ``mm/vmalloc.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from kmock.hw.mmu import PTE_PFN_MASK, PTE_SPECIAL
from kmock.mm.insert import PAGE_SIZE, page_table, vm_insert_page
from kmock.mm.mmap import page_align
from kmock.mm.page import PG_reserved
from kmock.mm.track_pfn import track_pfn_remap, untrack_pfn
from kmock.mm.unmap import zap_range
from kmock.mm.vm_area import VM_DMA_COHERENT, VM_USERMAP, VmArea
from kmock.mm.vm_fault import ZERO_PFN
from kmock.mm.vm_flags import VM_DONTDUMP, VM_DONTEXPAND, VM_IO, VM_MIXEDMAP, VM_PFNMAP, is_cow_mapping

if TYPE_CHECKING:
    from kmock.mm.vma import vm_area_struct

_ULONG: Final = 1 << 64
_REMAPPED: Final = VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP


def remap_pfn_range(
    vma: vm_area_struct, address: int, pfn: int, size: int, prot: int, *, coherent: bool = False
) -> int:
    """``remap_pfn_range()``: show the frames from ``pfn`` on at ``address``; 0 or -errno, and then nothing of them.

    ``coherent`` says that it is the DMA API that shows coherent memory.
    """
    k = vma.vm_mm.kernel
    length = page_align(size)
    err, prot = track_pfn_remap(vma, prot, pfn, address, length)
    if err:
        k.pfnmaps.remap_failed(vma, address)
        return -errno.EINVAL
    k.pfnmaps.vet(vma, address, pfn, size, coherent=coherent)
    err = _remap(vma, address, pfn, length, prot)
    if err:
        zap_range(vma, address, address + length)
        untrack_pfn(vma, pfn, length)
        k.pfnmaps.remap_failed(vma, address)
    else:
        k.pfnmaps.shown(vma, address, pfn, length >> 12)
    return err


def _remap(vma: vm_area_struct, address: int, pfn: int, length: int, prot: int) -> int:
    # remap_pfn_range_internal()
    mm = vma.vm_mm
    k = mm.kernel
    end = address + length
    if address & PAGE_SIZE - 1:
        k.warn("remap-unaligned", "mm/memory.c:2491", "remap_pfn_range_notrack", attributes={"address": address})
        return -errno.EINVAL
    if is_cow_mapping(vma.vm_flags):
        if address != vma.vm_start or end != vma.vm_end:
            return -errno.EINVAL
        vma.vm_pgoff = pfn
    if vma.vm_flags & VM_MIXEDMAP:
        k.pfnmaps.mixed(vma)
    if vma.vm_flags & _REMAPPED != _REMAPPED:
        k.pfnmaps.changing_flags(vma, "remap_pfn_range")
    vma.vm_flags |= _REMAPPED
    if address >= end:
        k.bug("mmap-size-unchecked", "mm/memory.c:2520")
    for at in range(address, end, PAGE_SIZE):
        if not page_table(mm, at):
            return -errno.ENOMEM
        if mm.pte(at):
            k.bug("remap-occupied", "mm/memory.c:2402")
        mm.set_pte(at, pfn << 12 & PTE_PFN_MASK | prot | PTE_SPECIAL)
        pfn += 1
    return 0


def remap_page_range(vma: vm_area_struct, address: int, phys: int, size: int, prot: int) -> int:
    """``remap_page_range()`` of 2.6.10 and before: of RAM, only pages that are PG_reserved are shown."""
    k = vma.vm_mm.kernel
    mm = vma.vm_mm
    for offset in range(0, page_align(size), PAGE_SIZE):
        pfn = phys + offset >> 12
        if k.memmap.valid(pfn) and not k.memmap.page(pfn).test(PG_reserved):
            k.pfnmaps.not_reserved(pfn)
            pfn = ZERO_PFN
        if not page_table(mm, address + offset):
            return -errno.ENOMEM
        mm.set_pte(address + offset & -PAGE_SIZE, pfn << 12 & PTE_PFN_MASK | prot | PTE_SPECIAL)
    vma.vm_flags |= _REMAPPED
    k.pfnmaps.shown(vma, address & -PAGE_SIZE, phys >> 12, page_align(size) >> 12)
    return 0


def vm_iomap_memory(vma: vm_area_struct, start: int, length: int) -> int:
    """``vm_iomap_memory()``: show a device's memory, from page ``vm_pgoff`` on, all over the area."""
    if (start + length) % _ULONG < start:
        return -errno.EINVAL
    length += start & PAGE_SIZE - 1
    pfn = start >> 12
    pages = (length + PAGE_SIZE - 1) % _ULONG >> 12
    if pfn + pages >= _ULONG or vma.vm_pgoff > pages:
        return -errno.EINVAL
    pfn += vma.vm_pgoff
    pages -= vma.vm_pgoff
    if vma.pages > pages:
        return -errno.EINVAL
    return remap_pfn_range(vma, vma.vm_start, pfn, vma.vm_end - vma.vm_start, vma.vm_page_prot)


def remap_vmalloc_range_partial(vma: vm_area_struct, user: int, kernel: int, pgoff: int, size: int) -> int:
    """``remap_vmalloc_range_partial()``: show ``size`` bytes of a vmalloc area, from page ``pgoff`` behind ``kernel`` on."""
    k = vma.vm_mm.kernel
    address = int(kernel)
    offset = pgoff << 12
    if offset >= _ULONG or (user | address) & PAGE_SIZE - 1:
        return -errno.EINVAL
    size = page_align(size)
    area = k.vmalloc.probe(address) if k.layout.is_vmalloc(address) else None
    if not isinstance(area, VmArea) or not area.live or not area.addr <= address < area.top:
        return -errno.EINVAL
    if not area.flags & (VM_USERMAP | VM_DMA_COHERENT):
        k.pfnmaps.unflagged(area)
        return -errno.EINVAL
    if offset + size >= _ULONG or offset + size > area.usable:
        return -errno.EINVAL
    address += offset
    while True:
        page = k.vmalloc.to_page(address)
        if page is None:
            k.pfnmaps.beyond_area(area, address)
        if err := vm_insert_page(vma, user, page):
            k.pfnmaps.remap_failed(vma, user)
            return err
        user += PAGE_SIZE
        address += PAGE_SIZE
        size = (size - PAGE_SIZE) % _ULONG
        if not size:
            break
    vma.vm_flags |= VM_DONTEXPAND | VM_DONTDUMP
    return 0
