"""The memory of another process, as debuggers and ``/proc/PID/mem`` see it (``__access_remote_vm()``, ``mm/memory.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.hw.mmu import PTE_PFN_MASK, PTE_PRESENT, PTE_RW
from kmock.mm.memory import handle_mm_fault
from kmock.mm.rmap import is_anon
from kmock.mm.unmap import vm_normal_page
from kmock.mm.vm_fault import FAULT_FLAG_REMOTE, FAULT_FLAG_WRITE, VM_FAULT_ERROR
from kmock.mm.vm_flags import VM_IO, VM_MAYREAD, VM_PFNMAP, VM_READ, VM_WRITE, is_cow_mapping
from kmock.sanitizers.string_checks import load, store

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vma import vm_area_struct

_TRIES: Final = 16
FOLL_WRITE: Final = 0x1
FOLL_FORCE: Final = 0x10


def access_remote_vm(mm: mm_struct, address: int, n: int, data: bytes | None = None, *, force: bool = True) -> bytes:
    """``access_remote_vm()``: read ``n`` bytes, or write ``data``; return as many of them as could be.

    With ``force`` protection does not count where the memory is the process' own.
    """
    done = bytearray()
    with mm.locked("__access_remote_vm", read=True):
        while len(done) < n:
            part = None if data is None else data[len(done) :]
            piece = _access_once(mm, address + len(done), n - len(done), part, force=force)
            if not piece:
                break
            done += piece
    return bytes(done)


def access_process_vm(k: Kernel, mm: mm_struct, address: int, buf: Any, n: int, gup_flags: int) -> int:
    """``access_process_vm()``: copy between a process and ``buf``, any way that memory may be given; how much it was."""
    force = bool(gup_flags & FOLL_FORCE)
    if gup_flags & FOLL_WRITE:
        return len(access_remote_vm(mm, address, n, load(k, buf, n), force=force))
    found = access_remote_vm(mm, address, n, force=force)
    if found:
        store(k, buf, found)
    return len(found)


def _access_once(mm: mm_struct, address: int, n: int, data: bytes | None, *, force: bool) -> bytes:
    vma = mm.vma_lookup(address)
    if vma is None:
        return b""
    pfn = _frame(vma, address, write=data is not None, force=force)
    if pfn is None:
        return _by_driver(vma, address, n, data)
    m = min(4096 - (address & 4095), n)
    phys = pfn << 12 | address & 4095
    uaccess = mm.kernel.uaccess
    if data is None:
        return uaccess.fetch(phys, m)
    uaccess.deposit(phys, data[:m])
    return data[:m]


def _by_driver(vma: vm_area_struct, address: int, n: int, data: bytes | None) -> bytes:
    """``vm_ops->access``: what has no pages may still be had by asking its driver."""
    ops = vma.vm_ops
    if ops is None or ops.access is None:
        return b""
    buf = bytearray(n if data is None else data)
    done = int(ops.access(vma, address, buf, len(buf), int(data is not None)) or 0)
    return bytes(buf[:done]) if done > 0 else b""


def _frame(vma: vm_area_struct, address: int, *, write: bool, force: bool) -> int | None:
    """``get_user_pages_remote()`` of one page: its frame, None where it can't be had."""
    if vma.vm_flags & (VM_IO | VM_PFNMAP) or not _allowed(vma, write=write, force=force):
        return None
    flags = FAULT_FLAG_REMOTE | FAULT_FLAG_WRITE * write
    for _ in range(_TRIES):
        entry = vma.vm_mm.pte(address)
        if entry & PTE_PRESENT and (not write or entry & PTE_RW or _own(vma, address, entry)):
            return (entry & PTE_PFN_MASK) >> 12
        if handle_mm_fault(vma, address, flags) & VM_FAULT_ERROR:
            return None
    return None


def _own(vma: vm_area_struct, address: int, entry: int) -> bool:
    # can_follow_write_pte(): a forced write broke the sharing, and left the entry read-only
    page = vm_normal_page(vma, address, entry)
    return page is not None and is_anon(page) and not vma.vm_flags & VM_WRITE


def _allowed(vma: vm_area_struct, *, write: bool, force: bool) -> bool:
    # check_vma_flags()
    if write:
        return bool(vma.vm_flags & VM_WRITE) or (force and is_cow_mapping(vma.vm_flags))
    return bool(vma.vm_flags & (VM_READ | VM_MAYREAD if force else VM_READ))
