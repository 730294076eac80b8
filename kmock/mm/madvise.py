"""``madvise()``, ``msync()`` and ``mlock()`` (``mm/madvise.c``, ``mm/msync.c``, ``mm/mlock.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.mm.mmap import page_align
from kmock.mm.mprotect import change_flags
from kmock.mm.unmap import zap_range
from kmock.mm.vm_flags import (
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_IO,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_PFNMAP,
    VM_RAND_READ,
    VM_SEQ_READ,
    VM_SHARED,
    VM_SPECIAL,
    VM_WIPEONFORK,
)

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vma import vm_area_struct

MADV_NORMAL: Final = 0
MADV_RANDOM: Final = 1
MADV_SEQUENTIAL: Final = 2
MADV_WILLNEED: Final = 3
MADV_DONTNEED: Final = 4
MADV_FREE: Final = 8
MADV_REMOVE: Final = 9
MADV_DONTFORK: Final = 10
MADV_DOFORK: Final = 11
MADV_MERGEABLE: Final = 12
MADV_UNMERGEABLE: Final = 13
MADV_HUGEPAGE: Final = 14
MADV_NOHUGEPAGE: Final = 15
MADV_DONTDUMP: Final = 16
MADV_DODUMP: Final = 17
MADV_WIPEONFORK: Final = 18
MADV_KEEPONFORK: Final = 19
MADV_COLD: Final = 20
MADV_PAGEOUT: Final = 21
MADV_POPULATE_READ: Final = 22
MADV_POPULATE_WRITE: Final = 23
MADV_DONTNEED_LOCKED: Final = 24

MS_ASYNC: Final = 1
MS_INVALIDATE: Final = 2
MS_SYNC: Final = 4

_READAHEAD: Final = VM_RAND_READ | VM_SEQ_READ
# Advice that only changes flags: what is cleared, what is set, and what an area may not have for it to be taken.
_FLAGS: Final = {
    MADV_NORMAL: (_READAHEAD, 0, 0),
    MADV_SEQUENTIAL: (VM_RAND_READ, VM_SEQ_READ, 0),
    MADV_RANDOM: (VM_SEQ_READ, VM_RAND_READ, 0),
    MADV_DONTFORK: (0, VM_DONTCOPY, 0),
    MADV_DOFORK: (VM_DONTCOPY, 0, VM_IO),
    MADV_WIPEONFORK: (0, VM_WIPEONFORK, VM_SHARED),
    MADV_KEEPONFORK: (VM_WIPEONFORK, 0, 0),
    MADV_DONTDUMP: (0, VM_DONTDUMP, 0),
    MADV_DODUMP: (VM_DONTDUMP, 0, VM_SPECIAL),
}
_HINTS: Final = (MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT)
_DROPPING: Final = (MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE)
NEEDS_READ_LOCK: Final = (*_HINTS, *_DROPPING)


def do_madvise(mm: mm_struct, start: int, length: int, advice: int) -> int:
    """``do_madvise()``: 0 or -errno; -ENOMEM for a hole, though what lies around it was done."""
    if advice not in _FLAGS and advice not in NEEDS_READ_LOCK:
        return -errno.EINVAL
    end = start + page_align(length)
    if start & 4095 or length < 0 or end >= 1 << 64:
        return -errno.EINVAL
    result = 0
    at = start
    while at < end:
        vma = mm.find_vma(at)
        if vma is None or vma.vm_start >= end:
            return -errno.ENOMEM
        if vma.vm_start > at:
            result = -errno.ENOMEM
            at = vma.vm_start
        stop = min(vma.vm_end, end)
        if err := _advise(mm, vma, at, stop, advice):
            return err
        at = stop
    return result


def _advise(mm: mm_struct, vma: vm_area_struct, start: int, end: int, advice: int) -> int:
    if advice in _DROPPING:
        forbidden = VM_PFNMAP | (0 if advice == MADV_DONTNEED_LOCKED else VM_LOCKED)
        if vma.vm_flags & forbidden or (advice == MADV_FREE and vma.vm_ops is not None):
            return -errno.EINVAL
        zap_range(vma, start, end)
        return 0
    if advice in _HINTS:
        return -errno.EINVAL if advice != MADV_WILLNEED and vma.vm_flags & (VM_LOCKED | VM_PFNMAP) else 0
    clear, set_, refused = _FLAGS[advice]
    if vma.vm_flags & refused or (advice == MADV_WIPEONFORK and vma.vm_file is not None):
        return -errno.EINVAL
    flags = vma.vm_flags & ~clear | set_
    if flags == vma.vm_flags:
        return 0
    found = change_flags(mm, vma, start, end, flags)
    if isinstance(found, int):
        return found
    found.vm_flags = flags
    return 0


def do_mlock(mm: mm_struct, start: int, length: int, *, lock: bool) -> int:
    """``apply_vma_lock_flags()``: keep pages, or let them go again; 0 or -errno."""
    end = start + page_align(length + (start & 4095))
    at = start & -4096
    while at < end:
        vma = mm.vma_lookup(at)
        if vma is None:
            return -errno.ENOMEM
        stop = min(vma.vm_end, end)
        flags = vma.vm_flags & ~VM_LOCKED_MASK | (VM_LOCKED if lock else 0)
        if flags != vma.vm_flags and not vma.vm_flags & VM_SPECIAL:
            found = change_flags(mm, vma, at, stop, flags)
            if isinstance(found, int):
                return found
            found.vm_flags = flags
            mm.locked_vm += ((stop - at) >> 12) * (1 if lock else -1)
        at = stop
    return 0


def do_msync(mm: mm_struct, start: int, length: int, flags: int) -> int:
    """``msync()``: have the files of ``[start, start + length)`` written out; 0 or -errno. Takes ``mmap_lock`` itself."""
    if flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) or start & 4095 or (flags & MS_ASYNC and flags & MS_SYNC):
        return -errno.EINVAL
    end = start + page_align(length)
    if end > 1 << 64:
        return -errno.ENOMEM
    hole = 0
    while start < end:
        file = None
        with mm.locked("__do_sys_msync", read=True):
            vma = mm.find_vma(start)
            if vma is None or vma.vm_start >= end or (start < vma.vm_start and flags == MS_ASYNC):
                return -errno.ENOMEM
            if start < vma.vm_start:
                start, hole = vma.vm_start, -errno.ENOMEM
            if flags & MS_INVALIDATE and vma.vm_flags & VM_LOCKED:
                return -errno.EBUSY
            first = start - vma.vm_start + (vma.vm_pgoff << 12)
            last = first + min(end, vma.vm_end) - start - 1
            if flags & MS_SYNC and vma.vm_file is not None and vma.vm_flags & VM_SHARED:
                file = vma.vm_file
                file.f_count += 1
            start = vma.vm_end
        if file is not None and (err := _sync(mm, file, first, last)):
            return err
    return hole


def _sync(mm: mm_struct, file: Any, first: int, last: int) -> int:
    # vfs_fsync_range()
    err = 0
    if file.f_op is not None:
        err = -errno.EINVAL if file.f_op.fsync is None else int(file.f_op.fsync(file, first, last, 1) or 0)
    mm.kernel.chrdevs.fput(file)
    return err
