"""The cache attribute of frames that processes see (``track_pfn_remap()`` and its kin, ``arch/x86/mm/pat/memtype.c``).

A frame has one attribute, whoever maps it: RAM is write-back, a device's memory is what it was first mapped as. The
caller's wish is bent to that where the two get along, and refused where they don't.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from kmock.hw.mmu import PTE_PFN_MASK
from kmock.mm import memtype
from kmock.mm.mm_struct import PTE_SOFT_PRESENT
from kmock.mm.pgprot import pgprot2cachemode, with_cachemode
from kmock.mm.vm_flags import VM_PAT, is_cow_mapping

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.vma import vm_area_struct

PAGE_SIZE = 4096


def track_pfn_remap(vma: vm_area_struct, prot: int, pfn: int, address: int, size: int) -> tuple[int, int]:
    """``track_pfn_remap()``: 0 and the protection that a mapping of ``size`` bytes gets, or -EINVAL."""
    k = vma.vm_mm.kernel
    phys = pfn << 12
    if address == vma.vm_start and size == vma.vm_end - vma.vm_start:
        err, prot = _reserve(k, phys, size, prot, strict=False)
        if not err:
            vma.vm_flags |= VM_PAT
        return err, prot
    types = k.ioremap.types
    kind = types.lookup(phys)
    if any(types.lookup(at) != kind for at in range(phys + PAGE_SIZE, phys + size, PAGE_SIZE)):
        return -errno.EINVAL, prot
    return 0, with_cachemode(prot, kind)


def track_pfn_insert(vma: vm_area_struct, prot: int, pfn: int) -> int:
    """``track_pfn_insert()``: the protection that one more frame gets."""
    return with_cachemode(prot, vma.vm_mm.kernel.ioremap.types.lookup(pfn << 12))


def track_pfn_copy(new: vm_area_struct, old: vm_area_struct) -> int:
    """``track_pfn_copy()``: a child's area shows the same frames; 0 or -EINVAL."""
    if not old.vm_flags & VM_PAT:
        return 0
    entry = old.vm_mm.pte(old.vm_start)
    if not entry & PTE_SOFT_PRESENT:
        return -errno.EINVAL
    k = old.vm_mm.kernel
    err, _ = _reserve(k, entry & PTE_PFN_MASK, old.vm_end - old.vm_start, entry, strict=True)
    return err


def untrack_pfn(vma: vm_area_struct, pfn: int = 0, size: int = 0) -> None:
    """``untrack_pfn()``: the frames are shown no more; those of the whole area, where none are named."""
    if not vma.vm_flags & VM_PAT:
        return
    k = vma.vm_mm.kernel
    phys = pfn << 12
    if not pfn and not size:
        entry = vma.vm_mm.pte(vma.vm_start)
        if entry & PTE_SOFT_PRESENT:
            phys = entry & PTE_PFN_MASK
        elif is_cow_mapping(vma.vm_flags):
            phys = vma.vm_pgoff << 12
        else:
            return
        size = vma.vm_end - vma.vm_start
    if not _is_ram(k, phys, size):
        k.ioremap.types.free(phys, phys + size)
    vma.vm_flags &= ~VM_PAT


def _is_ram(k: Kernel, phys: int, size: int) -> bool:
    return any(start < phys + size and phys < end for start, end in k.ram.ranges)


def _reserve(k: Kernel, phys: int, size: int, prot: int, *, strict: bool) -> tuple[int, int]:
    """``reserve_pfn_range()``."""
    wanted = pgprot2cachemode(prot)
    if _is_ram(k, phys, size):
        if wanted != memtype.WB:
            _conflict(k, "map pfn RAM range req", phys, size, wanted, memtype.WB)
        return 0, with_cachemode(prot, memtype.WB)
    types = k.ioremap.types
    before = types.lookup(phys)
    err, got = types.reserve(phys, phys + size, wanted)
    if err:
        _conflict(k, "map pfn expected mapping type", phys, size, wanted, before)
        return -errno.EINVAL, prot
    if got != wanted and (strict or not memtype.allowed(wanted, got)):
        types.free(phys, phys + size)
        _conflict(k, "map pfn expected mapping type", phys, size, wanted, got)
        return -errno.EINVAL, prot
    if wanted not in (got, memtype.WB):
        _conflict(k, "", phys, size, wanted, got)
    return 0, with_cachemode(prot, got)


def _conflict(k: Kernel, said: str, phys: int, size: int, wanted: int, got: int) -> None:
    """Report a wish that the frames' other users do not share; ``said`` is what the kernel says of it, if anything."""
    task = k.current
    where = f"[mem {phys:#010x}-{phys + size - 1:#010x}]"
    asked, given = memtype.NAMES[wanted], memtype.NAMES[got]
    stack = k.capture()
    headline = f"x86/PAT: {task.comm}:{task.pid} {said} {asked} for {where}, got {given}"
    k.report(
        "mmap-cache-attr",
        headline if said else f"BUG: kmock: mmap-cache-attr in {k.symbol(stack)}",
        lines=[f"the process was to see {where} {asked}, the kernel maps it {given}"],
        stacks={"access": stack},
        key=("pat", phys, wanted, got),
    )
