"""A page fault in the user's half of the address space (``arch/x86/mm/fault.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.kernel import rwsem
from kmock.kernel.hang import deadlock, hang_report
from kmock.kernel.loglevel import may_speak
from kmock.mm.memory import handle_mm_fault
from kmock.mm.mm_struct import DEADLY
from kmock.mm.mmap import expand_stack
from kmock.mm.mmap_lock import held_by_current
from kmock.mm.vm_fault import (
    FAULT_FLAG_DEFAULT,
    FAULT_FLAG_TRIED,
    FAULT_FLAG_USER,
    FAULT_FLAG_WRITE,
    VM_FAULT_COMPLETED,
    VM_FAULT_HWPOISON,
    VM_FAULT_HWPOISON_LARGE,
    VM_FAULT_OOM,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
    VM_FAULT_SIGSEGV,
)
from kmock.mm.vm_flags import VM_ACCESS_FLAGS, VM_GROWSDOWN, VM_IO, VM_PFNMAP, VM_SHARED, VM_WRITE

if TYPE_CHECKING:
    from kmock.errors import Deadlock
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.vma import vm_area_struct

PATIENCE: Final = 256
"""Faults in a row at one address that bring nothing, after which nothing ever will."""
OOM_PATIENCE: Final = 16
"""Faults in a row that find no memory, after which the out-of-memory killer has come by."""

_BUS: Final = VM_FAULT_SIGBUS | VM_FAULT_HWPOISON | VM_FAULT_HWPOISON_LARGE


def reach(mm: mm_struct, address: int, *, write: bool, user: bool) -> int | str:
    """Access ``address`` as the processor does: the physical address, or the signal if it can't be had.

    With ``user`` the process itself does it, without it the kernel on its behalf.
    """
    hungry = 0
    for _ in range(PATIENCE):
        phys = mm.present(address, write=write)
        if phys is not None:
            return phys
        outcome = do_user_addr_fault(mm, address, write=write, user=user)
        if outcome == "SIGKILL":
            hungry += 1
            if user and hungry < OOM_PATIENCE:
                continue
        if outcome:
            return outcome
    raise _stuck(mm, address)


def do_user_addr_fault(mm: mm_struct, address: int, *, write: bool, user: bool) -> str:
    """``do_user_addr_fault()``: have a fault handled; the signal that ends in, empty if it is to be tried again.

    SIGKILL stands for having found no memory.
    """
    flags = FAULT_FLAG_DEFAULT | FAULT_FLAG_USER * user | FAULT_FLAG_WRITE * write
    while True:
        vma = lock_mm_and_find_vma(mm, address)
        if vma is None:
            return "SIGSEGV"
        if not _access_allowed(vma, write=write):
            mm.unlock(read=True)
            return "SIGSEGV"
        try:
            ret = handle_mm_fault(vma, address, flags)
        except DEADLY:
            raise
        except BaseException:
            mm.unlock(read=True)
            raise
        if ret & VM_FAULT_COMPLETED:
            return ""
        if ret & VM_FAULT_RETRY:
            if held_by_current(mm.kernel, mm):
                mm.kernel.mappings.kept_lock(vma)
                mm.unlock(read=True)
            if mm.kernel.current.signal:
                return "" if user else "SIGBUS"
            flags |= FAULT_FLAG_TRIED
            continue
        mm.unlock(read=True)
        return _signal(mm, ret, user=user)


def _signal(mm: mm_struct, ret: int, *, user: bool) -> str:
    # mm_fault_error()
    if ret & VM_FAULT_OOM:
        if user and may_speak(mm.kernel, "pagefault_out_of_memory"):
            mm.kernel.log.write("Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF")
        return "SIGKILL"
    if ret & _BUS:
        return "SIGBUS"
    return "SIGSEGV" if ret & VM_FAULT_SIGSEGV else ""


def lock_mm_and_find_vma(mm: mm_struct, address: int) -> vm_area_struct | None:
    """``lock_mm_and_find_vma()``: take ``mmap_lock`` for reading and return the area; without one the lock is free."""
    k = mm.kernel
    if not rwsem.trylock(k, mm.mmap_lock, "lock_mm_and_find_vma", read=True, for_driver=False):
        mm.lock("lock_mm_and_find_vma", read=True)
    vma = mm.find_vma(address)
    if vma is not None and vma.vm_start <= address:
        return vma
    mm.unlock(read=True)
    if vma is None or not vma.vm_flags & VM_GROWSDOWN:
        return None
    mm.lock("lock_mm_and_find_vma")
    vma = mm.find_vma(address)
    grown = vma is not None and (vma.vm_start <= address or not expand_stack(vma, address))
    rwsem.downgrade(k, mm.mmap_lock)
    if grown:
        return vma
    mm.unlock(read=True)
    return None


def _access_allowed(vma: vm_area_struct, *, write: bool) -> bool:
    # access_error(): what may be accessed at all may be read, on x86
    return bool(vma.vm_flags & (VM_WRITE if write else VM_ACCESS_FLAGS))


def populate(mm: mm_struct, start: int, end: int) -> None:
    """``mm_populate()``: bring in the pages of ``[start, end)`` that can be had."""
    for vma in mm.between(start, end):
        if vma.vm_flags & (VM_IO | VM_PFNMAP):
            continue
        write = vma.vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE
        for address in range(max(vma.vm_start, start), min(vma.vm_end, end), 4096):
            if isinstance(reach(mm, address, write=write, user=False), str):
                break


def _stuck(mm: mm_struct, address: int) -> Deadlock:
    """Whatever the driver answers, it never gets any further."""
    k = mm.kernel
    vma = mm.vma_lookup(address)
    ops = vma.vm_ops if vma is not None else None
    handler = ops.page_mkwrite or ops.handler if ops is not None else None
    k.mappings.never(ops, handler, f"the fault at {address:#x} is tried again and again, and never gets any further")
    return deadlock(k, k.reports.find(("fault", ops)) or hang_report(k, [k.current]))
