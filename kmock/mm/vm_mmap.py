"""Mapping from the outside, lock and all (``vm_mmap_pgoff()`` of ``mm/util.c``, ``vm_munmap()`` of ``mm/mmap.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kmock.mm.fault import populate
from kmock.mm.mmap import MAP_LOCKED, MAP_POPULATE, PAGE_SIZE, do_mmap, do_munmap, page_align

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct


def vm_mmap(mm: mm_struct, file: Any, address: int, length: int, prot: int, flags: int, offset: int) -> int:
    """``vm_mmap()``: :func:`vm_mmap_pgoff` for the kernel's own use, which may not wrap."""
    if offset + page_align(length) >= 1 << 64:
        return -errno.EINVAL
    return vm_mmap_pgoff(mm, file, address, length, prot, flags, offset)


def vm_mmap_pgoff(mm: mm_struct, file: Any, address: int, length: int, prot: int, flags: int, offset: int) -> int:
    """``vm_mmap_pgoff()``: map ``length`` bytes of ``file``, or of nothing, from ``offset`` on; the address or -errno."""
    if offset & (PAGE_SIZE - 1):
        return -errno.EINVAL
    with mm.locked("vm_mmap_pgoff"):
        found = do_mmap(mm, file, address, length, prot, flags, offset >> 12)
    if found > 0 and flags & (MAP_POPULATE | MAP_LOCKED):
        populate(mm, found, found + page_align(length))
    return found


def vm_munmap(mm: mm_struct, start: int, length: int) -> int:
    """``vm_munmap()``: unmap ``[start, start + length)``; 0 or -errno."""
    with mm.locked("__vm_munmap"):
        return do_munmap(mm, start, length)
