"""Areas come and go: mmap, munmap, brk, and the end of an address space (``mm/mmap.c``).

Callers hold ``mmap_lock`` for writing.
"""

from __future__ import annotations

import errno
import mmap as host
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, Final

from kmock.kernel.contracts import release
from kmock.mm.unmap import free_pgtables, unmap_vmas
from kmock.mm.vm_flags import (
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_NORESERVE,
    VM_READ,
    VM_SHARED,
    VM_SPECIAL,
    VM_SYNC,
    VM_WRITE,
    calc_vm_prot_bits,
)
from kmock.mm.vma import set_page_prot, vm_area_struct, vm_operations_struct
from kmock.mm.vma_merge import link_file, split_vma, unlink, unlink_file, vma_merge

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct

PAGE_SIZE: Final = 4096
MMAP_MIN_ADDR: Final = 65536
MAX_MAP_COUNT: Final = 65530
STACK_GUARD_GAP: Final = 256 * PAGE_SIZE
STACK_LIMIT: Final = 8 << 20
"""RLIMIT_STACK, as most systems have it."""
FMODE_READ: Final = 1
FMODE_WRITE: Final = 2
FMODE_UNSIGNED_OFFSET: Final = 0x2000
MAX_LFS_FILESIZE: Final = (1 << 63) - 1

# include/uapi/asm-generic/mman.h; not every Python's mmap module has them all.
MAP_TYPE: Final = 0xF
MAP_SHARED_VALIDATE: Final = 0x3
MAP_FIXED: Final = 0x10
MAP_GROWSDOWN: Final = 0x100
MAP_LOCKED: Final = 0x2000
MAP_NORESERVE: Final = 0x4000
MAP_POPULATE: Final = 0x8000
MAP_NONBLOCK: Final = 0x1_0000
MAP_SYNC: Final = 0x8_0000
MAP_FIXED_NOREPLACE: Final = 0x10_0000
LEGACY_MAP_MASK: Final = (
    host.MAP_SHARED
    | host.MAP_PRIVATE
    | MAP_FIXED
    | host.MAP_ANONYMOUS
    | host.MAP_DENYWRITE
    | host.MAP_EXECUTABLE
    | MAP_GROWSDOWN
    | MAP_LOCKED
    | MAP_NORESERVE
    | MAP_POPULATE
    | MAP_NONBLOCK
    | 0x2_0000  # MAP_STACK
    | 0x4_0000  # MAP_HUGETLB
    | 0x40  # MAP_32BIT
    | 0x1F << 26  # MAP_HUGE_MASK, as far as it fits
)
_VM_OF_MAP: Final = ((MAP_GROWSDOWN, VM_GROWSDOWN), (MAP_LOCKED, VM_LOCKED), (MAP_SYNC, VM_SYNC))

DUMMY_OPS: Final = vm_operations_struct()
"""What an area of a file has until its driver sets something else: none of its pages can be had."""


def page_align(n: int) -> int:
    """``PAGE_ALIGN()``."""
    return (n + PAGE_SIZE - 1) & -PAGE_SIZE


# -- where ----------------------------------------------------------------------------------------


def _start_gap(vma: vm_area_struct) -> int:
    # vm_start_gap(): what grows downwards keeps room below it.
    return vma.vm_start - (STACK_GUARD_GAP if vma.vm_flags & VM_GROWSDOWN else 0)


def unmapped_area(mm: mm_struct, length: int) -> int:
    """``vm_unmapped_area()``: return the highest free place for ``length`` bytes below ``mmap_base``, or -ENOMEM."""
    top = mm.mmap_base
    vma = mm.below(top)
    while vma is not None:
        if top - vma.vm_end >= length:
            return top - length
        top = min(top, _start_gap(vma))
        vma = mm.before(vma)
    return top - length if top - length >= MMAP_MIN_ADDR else -errno.ENOMEM


def get_unmapped_area(mm: mm_struct, file: Any, address: int, length: int, pgoff: int, flags: int) -> int:
    """``get_unmapped_area()``: return where a mapping is to go, or -errno; ``address`` is a wish, or with MAP_FIXED an order."""
    size = mm.kernel.layout.task_size
    if length > size:
        return -errno.ENOMEM
    # Shared anonymous memory has a file without operations of a driver.
    if file is not None and file.f_op is not None and file.f_op.get_unmapped_area is not None:
        address = file.f_op.get_unmapped_area(file, address, length, pgoff, flags)
        if -4096 < address < 0:
            return int(address)
    elif not flags & MAP_FIXED:
        address = page_align(address)
        if not address or address > size - length or mm.between(address, address + length):
            address = unmapped_area(mm, length)
            if address < 0:
                return address
    if address > size - length:
        return -errno.ENOMEM
    if address & (PAGE_SIZE - 1):
        return -errno.EINVAL
    return -errno.EPERM if address < MMAP_MIN_ADDR else address


# -- mmap -----------------------------------------------------------------------------------------


def do_mmap(mm: mm_struct, file: Any, address: int, length: int, prot: int, flags: int, pgoff: int) -> int:
    """``do_mmap()``: map ``length`` bytes of ``file``, or of nothing, from page ``pgoff`` on; the address or -errno."""
    if not length:
        return -errno.EINVAL
    if flags & MAP_FIXED_NOREPLACE:
        flags |= MAP_FIXED
    if not flags & MAP_FIXED and address:
        address = max(address & -PAGE_SIZE, MMAP_MIN_ADDR)
    length = page_align(length)
    if length > mm.kernel.layout.task_size or len(mm.vmas) > MAX_MAP_COUNT:
        return -errno.ENOMEM
    if pgoff + (length >> 12) >= 1 << 64:
        return -errno.EOVERFLOW
    address = get_unmapped_area(mm, file, address, length, pgoff, flags)
    if address < 0:
        return address
    if flags & MAP_FIXED_NOREPLACE and mm.between(address, address + length):
        return -errno.EEXIST
    vm_flags = calc_vm_prot_bits(prot) | sum(bit for given, bit in _VM_OF_MAP if flags & given)
    vm_flags |= mm.def_flags | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
    if file is not None and not file_mmap_ok(mm.kernel, file, pgoff, length):
        return -errno.EOVERFLOW
    found = _anonymous_flags(vm_flags, flags) if file is None else _file_flags(file, vm_flags, prot, flags)
    if found < 0:
        return found
    if file is None:
        pgoff = 0 if found & VM_SHARED else address >> 12
    if flags & MAP_NORESERVE:
        found |= VM_NORESERVE
    return mmap_region(mm, file, address, length, found, pgoff)


def file_mmap_ok(k: Kernel, file: Any, pgoff: int, length: int) -> bool:
    """``file_mmap_ok()``, which came with 4.17: whether all of the range has an offset in the file that does not wrap."""
    if file.f_mode & FMODE_UNSIGNED_OFFSET or (k.config.version and release(k.config.version) < (4, 17)):
        return True
    last = MAX_LFS_FILESIZE if S_ISREG(file.f_inode.i_mode) else (1 << k.layout.bits) - 1
    return length <= last and pgoff <= last - length >> 12


def _anonymous_flags(vm_flags: int, flags: int) -> int:
    kind = flags & MAP_TYPE
    if kind == host.MAP_PRIVATE:
        return vm_flags
    if kind != host.MAP_SHARED or vm_flags & VM_GROWSDOWN:
        return -errno.EINVAL
    return vm_flags | VM_SHARED | VM_MAYSHARE


def _file_flags(file: Any, vm_flags: int, prot: int, flags: int) -> int:
    kind = flags & MAP_TYPE
    if kind in (host.MAP_SHARED, MAP_SHARED_VALIDATE):
        allowed = LEGACY_MAP_MASK | (file.f_op.mmap_supported_flags or 0)
        if kind == host.MAP_SHARED:
            flags &= LEGACY_MAP_MASK
        if flags & ~(allowed | MAP_SHARED_VALIDATE):
            return -errno.EOPNOTSUPP
        if prot & host.PROT_WRITE and not file.f_mode & FMODE_WRITE:
            return -errno.EACCES
        vm_flags |= VM_SHARED | VM_MAYSHARE
        if not file.f_mode & FMODE_WRITE:
            vm_flags &= ~(VM_MAYWRITE | VM_SHARED)
    elif kind != host.MAP_PRIVATE:
        return -errno.EINVAL
    if not file.f_mode & FMODE_READ:
        return -errno.EACCES
    if file.f_op.mmap is None:
        return -errno.ENODEV
    return -errno.EINVAL if vm_flags & VM_GROWSDOWN else vm_flags


def mmap_region(mm: mm_struct, file: Any, address: int, length: int, vm_flags: int, pgoff: int) -> int:
    """``mmap_region()``: make an area at ``address``, in place of what is there; the address or -errno."""
    if mm.between(address, address + length) and do_munmap(mm, address, length):
        return -errno.ENOMEM
    if vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE) == VM_WRITE:
        vm_flags |= VM_ACCOUNT
    merged = None
    if file is not None or not vm_flags & VM_SHARED:
        merged = vma_merge(mm, address, address + length, vm_flags, None, file, pgoff)
    vma = merged
    if vma is None:
        vma = vm_area_struct(mm, address, address + length, vm_flags, None, pgoff)
        err = _call_mmap(vma, file) if file is not None else _no_file(vma)
        if err:
            return err
        joined = None
        if vma.vm_flags != vm_flags and vma.vm_file is not None:
            joined = vma_merge(mm, vma.vm_start, vma.vm_end, vma.vm_flags, None, vma.vm_file, vma.vm_pgoff)
        if joined is None:
            mm.vmas[vma.vm_start] = vma
        else:
            _fput(vma)
            vma = joined
    mm.total_vm += length >> 12
    if vma.vm_flags & VM_LOCKED:
        if vma.vm_flags & VM_SPECIAL:
            vma.vm_flags &= ~VM_LOCKED_MASK
        else:
            mm.locked_vm += length >> 12
    set_page_prot(vma)
    return address


def _no_file(vma: vm_area_struct) -> int:
    if vma.vm_flags & VM_SHARED:
        vma.vm_mm.kernel.shmem.zero_setup(vma)
        link_file(vma)
    return 0


def _call_mmap(vma: vm_area_struct, file: Any) -> int:
    """``mmap_file()``: have the driver set the area up; undo what it did if it fails."""
    mm = vma.vm_mm
    start = vma.vm_start
    vma.vm_file = file
    vma.vm_ops = DUMMY_OPS
    file.f_count += 1
    # The driver may look for the area through its file already, but not through the address space.
    link_file(vma)
    err = mm.kernel.mappings.call_mmap(vma, file)
    if not err and vma.vm_start != start:
        mm.kernel.warn("mmap-size-unchecked", "mm/mmap.c:2741", "mmap_region", key=vma)
        err = -errno.EINVAL
        mm.kernel.mappings.closed(vma)
    if err:
        unlink_file(vma)
        vma.vm_ops = DUMMY_OPS
        _unmap_region(mm, [vma])
        _fput(vma)
    return err


def _fput(vma: vm_area_struct) -> None:
    file, vma.vm_file = vma.vm_file, None
    if file is not None:
        vma.vm_mm.kernel.chrdevs.fput(file)


# -- munmap ---------------------------------------------------------------------------------------


def do_munmap(mm: mm_struct, start: int, length: int) -> int:
    """``do_munmap()``: unmap ``[start, start + length)``, cutting areas at its ends; 0 or -errno."""
    size = mm.kernel.layout.task_size
    if start & (PAGE_SIZE - 1) or start > size or length > size - start:
        return -errno.EINVAL
    end = start + page_align(length)
    if end == start:
        return -errno.EINVAL
    gone = mm.between(start, end)
    if not gone:
        return 0
    first, last = gone[0], gone[-1]
    if first.vm_start < start:
        if end < first.vm_end and len(mm.vmas) >= MAX_MAP_COUNT:
            return -errno.ENOMEM
        if err := split_vma(mm, first, start, new_below=False):
            return err
    last = mm.between(start, end)[-1]
    if last.vm_end > end and (err := split_vma(mm, last, end, new_below=True)):
        return err
    gone = mm.between(start, end)
    for vma in gone:
        unlink(mm, vma)
    _unmap_region(mm, gone)
    for vma in gone:
        remove_vma(vma)
    return 0


def _unmap_region(mm: mm_struct, gone: list[vm_area_struct]) -> None:
    prev = mm.below(gone[0].vm_start)
    next = mm.find_vma(gone[-1].vm_end)
    unmap_vmas(mm, gone)
    ceiling = next.vm_start if next is not None else 1 << 64
    free_pgtables(mm, gone, prev.vm_end if prev is not None else 0, ceiling)


def remove_vma(vma: vm_area_struct) -> None:
    """``remove_vma()``: tell the driver that the area is gone, and let go of its file."""
    mm = vma.vm_mm
    mm.kernel.mappings.closed(vma)
    vma.vm_ops = DUMMY_OPS
    mm.total_vm -= vma.pages
    if vma.vm_flags & VM_LOCKED:
        mm.locked_vm -= vma.pages
    _fput(vma)


def exit_mmap(mm: mm_struct) -> None:
    """``exit_mmap()``: give everything back."""
    gone = list(mm.vmas.values())
    if gone:
        unmap_vmas(mm, gone)
        free_pgtables(mm, gone, 0, 1 << 64)
    for vma in gone:
        unlink(mm, vma)
    for vma in gone:
        remove_vma(vma)


# -- brk and growth -------------------------------------------------------------------------------


def do_brk(mm: mm_struct, brk: int) -> int:
    """``brk()``: move the end of the heap; return where it is then, which is where it was if it can't be moved."""
    if brk < mm.start_brk:
        return mm.brk
    new, old = page_align(brk), page_align(mm.brk)
    if new < old and do_munmap(mm, new, old - new):
        return mm.brk
    if new > old:
        next = mm.find_vma(old)
        if next is not None and new + PAGE_SIZE > _start_gap(next):
            return mm.brk
        flags = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | mm.def_flags
        if mmap_region(mm, None, old, new - old, flags, old >> 12) < 0:
            return mm.brk
    mm.brk = brk
    return brk


def expand_stack(vma: vm_area_struct, address: int) -> int:
    """``expand_downwards()``: let an area that grows downwards reach down to ``address``; 0 or -errno."""
    mm = vma.vm_mm
    address &= -PAGE_SIZE
    if address < MMAP_MIN_ADDR:
        return -errno.EPERM
    below = mm.before(vma)
    guarded = below is not None and not below.vm_flags & VM_GROWSDOWN and below.vm_flags & VM_ACCESS_FLAGS
    if guarded and below is not None and address - below.vm_end < STACK_GUARD_GAP:
        return -errno.ENOMEM
    if vma.vm_end - address > STACK_LIMIT or (vma.vm_start - address) >> 12 > vma.vm_pgoff:
        return -errno.ENOMEM
    from_start = vma.vm_start
    vma.vm_pgoff -= (from_start - address) >> 12
    del mm.vmas[from_start]
    vma.vm_start = address
    mm.vmas[address] = vma
    mm.total_vm += (from_start - address) >> 12
    return 0
