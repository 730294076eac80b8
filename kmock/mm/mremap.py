"""``mremap()`` (``mm/mremap.c``). Callers hold ``mmap_lock`` for writing."""

from __future__ import annotations

import errno
import mmap as host
from typing import TYPE_CHECKING, Final

from kmock.mm.mmap import MAP_FIXED, MAX_MAP_COUNT, PAGE_SIZE, do_munmap, get_unmapped_area, page_align
from kmock.mm.vm_flags import VM_ACCOUNT, VM_DONTEXPAND, VM_MAYSHARE, VM_PFNMAP, VM_SHARED
from kmock.mm.vma_merge import adjust, link, vma_merge

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vma import vm_area_struct

MREMAP_MAYMOVE: Final = 1
MREMAP_FIXED: Final = 2
MREMAP_DONTUNMAP: Final = 4
_KNOWN: Final = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP


def do_mremap(mm: mm_struct, address: int, old: int, new: int, flags: int, to: int) -> int:
    """``mremap()``: make ``old`` bytes at ``address`` ``new`` bytes, moving them if need be; the address or -errno."""
    if flags & ~_KNOWN or (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) and not flags & MREMAP_MAYMOVE):
        return -errno.EINVAL
    if (flags & MREMAP_DONTUNMAP and old != new) or address & (PAGE_SIZE - 1):
        return -errno.EINVAL
    old, new = page_align(old), page_align(new)
    if not new:
        return -errno.EINVAL
    if not mm.maps(address):
        return -errno.EFAULT
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        return _mremap_to(mm, address, old, to, new, flags)
    if old >= new:
        err = do_munmap(mm, address + new, old - new) if old > new else 0
        return err or address
    vma = vma_to_resize(mm, address, old, new, flags)
    if isinstance(vma, int):
        return vma
    if old == vma.vm_end - address and _expandable(vma, new - old):
        return address if _expand(mm, vma, new - old) else -errno.ENOMEM
    if not flags & MREMAP_MAYMOVE:
        return -errno.ENOMEM
    to = get_unmapped_area(mm, vma.vm_file, 0, new, vma.pgoff_of(address), _map_flags(vma))
    return to if to < 0 else _move_vma(vma, address, old, new, to, flags)


def vma_to_resize(mm: mm_struct, address: int, old: int, new: int, flags: int) -> vm_area_struct | int:
    """``vma_to_resize()``: return the area if it may become that size, or -errno."""
    vma = mm.vma_lookup(address)
    if vma is None:
        return -errno.EFAULT
    if not old and not vma.vm_flags & (VM_SHARED | VM_MAYSHARE):
        task = mm.kernel.current
        mm.kernel.log.write(
            f"{task.comm} ({task.pid}): attempted to duplicate a private mapping with mremap.  This is not supported."
        )
        return -errno.EINVAL
    fixed = vma.vm_flags & (VM_DONTEXPAND | VM_PFNMAP)
    if flags & MREMAP_DONTUNMAP and fixed:
        return -errno.EINVAL
    if old > vma.vm_end - address:
        return -errno.EFAULT
    if new == old:
        return vma
    if vma.pgoff_of(address) + (new >> 12) >= 1 << 64:
        return -errno.EINVAL
    return -errno.EFAULT if fixed else vma


def _map_flags(vma: vm_area_struct) -> int:
    return host.MAP_SHARED if vma.vm_flags & VM_MAYSHARE else 0


def _expandable(vma: vm_area_struct, delta: int) -> bool:
    # vma_expandable()
    mm = vma.vm_mm
    end = vma.vm_end + delta
    return end <= mm.kernel.layout.task_size and not mm.between(vma.vm_end, end)


def _expand(mm: mm_struct, vma: vm_area_struct, delta: int) -> bool:
    if vma.vm_ops is None or vma.vm_ops.close is None:
        end = vma.vm_end
        pgoff = vma.pgoff_of(end)
        if vma_merge(mm, end, end + delta, vma.vm_flags, vma.anon_vma, vma.vm_file, pgoff) is None:
            return False
    else:
        adjust(vma, vma.vm_start, vma.vm_end + delta)
    mm.total_vm += delta >> 12
    return True


def _mremap_to(mm: mm_struct, address: int, old: int, to: int, new: int, flags: int) -> int:
    # mremap_to()
    size = mm.kernel.layout.task_size
    if to & (PAGE_SIZE - 1) or new > size or to > size - new:
        return -errno.EINVAL
    if address + old > to and to + new > address:
        return -errno.EINVAL
    if len(mm.vmas) + 2 >= MAX_MAP_COUNT - 3:
        return -errno.ENOMEM
    if flags & MREMAP_FIXED and (err := do_munmap(mm, to, new)):
        return err
    if old > new:
        if err := do_munmap(mm, address + new, old - new):
            return err
        old = new
    vma = vma_to_resize(mm, address, old, new, flags)
    if isinstance(vma, int):
        return vma
    map_flags = _map_flags(vma) | (MAP_FIXED if flags & MREMAP_FIXED else 0)
    found = get_unmapped_area(mm, vma.vm_file, to, new, vma.pgoff_of(address), map_flags)
    return found if found < 0 else _move_vma(vma, address, old, new, found, flags)


def _move_vma(vma: vm_area_struct, address: int, old: int, new: int, to: int, flags: int) -> int:
    # move_vma()
    mm = vma.vm_mm
    if len(mm.vmas) >= MAX_MAP_COUNT - 3:
        return -errno.ENOMEM
    ops = vma.vm_ops
    if ops is not None and ops.may_split is not None:
        for cut in (address, address + old):
            if vma.vm_start < cut < vma.vm_end and (err := ops.may_split(vma, cut)):
                return int(err)
    moved = _copy_vma(vma, to, new, vma.pgoff_of(address))
    move_page_tables(mm, address, to, old)
    if ops is not None and ops.mremap is not None and (err := int(ops.mremap(moved) or 0)):
        move_page_tables(mm, to, address, old)
        do_munmap(mm, to, new)
        return err
    if flags & MREMAP_DONTUNMAP:
        if vma.vm_start == address and vma.vm_end == address + old:
            vma.anon_vma = None
        return to
    accounted = vma.vm_flags & VM_ACCOUNT
    vma.vm_flags &= ~VM_ACCOUNT
    before, after = vma.vm_start < address, vma.vm_end > address + old
    start, end = vma.vm_start, vma.vm_end
    do_munmap(mm, address, old)
    for left, at in ((before, start), (after, end - 1)):
        rest = mm.vma_lookup(at) if left and accounted else None
        if rest is not None:
            rest.vm_flags |= VM_ACCOUNT
    return to


def _copy_vma(vma: vm_area_struct, to: int, length: int, pgoff: int) -> vm_area_struct:
    # copy_vma(): what was never touched may sit anywhere, so its offset follows its address
    mm = vma.vm_mm
    if vma.vm_file is None and vma.anon_vma is None:
        pgoff = to >> 12
    merged = vma_merge(mm, to, to + length, vma.vm_flags, vma.anon_vma, vma.vm_file, pgoff)
    mm.total_vm += length >> 12
    if merged is not None:
        return merged
    new = vma.dup(mm)
    new.vm_start, new.vm_end, new.vm_pgoff = to, to + length, pgoff
    if new.vm_file is not None:
        new.vm_file.f_count += 1
    mm.kernel.mappings.opened(new, vma)
    link(mm, new)
    return new


def move_page_tables(mm: mm_struct, start: int, to: int, length: int) -> None:
    """``move_page_tables()``: let the entries of one range stand in another."""
    for address in mm.mapped(start, start + length):
        mm.set_pte(address - start + to, mm.clear_pte(address))
