"""A fault that the kernel has handled on purpose, outside of any access (``fixup_user_fault()``, ``mm/gup.c``)."""

from __future__ import annotations

import errno
from signal import SIGKILL
from typing import TYPE_CHECKING

from kmock.mm.gup import fault_to_errno
from kmock.mm.memory import handle_mm_fault
from kmock.mm.vm_fault import (
    FAULT_FLAG_ALLOW_RETRY,
    FAULT_FLAG_KILLABLE,
    FAULT_FLAG_TRIED,
    FAULT_FLAG_WRITE,
    VM_FAULT_COMPLETED,
    VM_FAULT_ERROR,
    VM_FAULT_RETRY,
)
from kmock.mm.vm_flags import VM_READ, VM_WRITE

if TYPE_CHECKING:
    from kmock.mm.mm_struct import mm_struct


def fixup_user_fault(mm: mm_struct, address: int, flags: int, *, may_unlock: bool) -> tuple[int, bool]:
    """``fixup_user_fault()``: 0 or -errno, and whether the lock was dropped meanwhile; it is held again in any case."""
    unlocked = False
    if may_unlock:
        flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE
    while True:
        vma = mm.vma_lookup(address)
        if vma is None or not vma.vm_flags & (VM_WRITE if flags & FAULT_FLAG_WRITE else VM_READ):
            return -errno.EFAULT, unlocked
        if flags & FAULT_FLAG_KILLABLE and mm.kernel.current.signal == SIGKILL:
            return -errno.EINTR, unlocked
        ret = handle_mm_fault(vma, address, flags)
        if ret & VM_FAULT_ERROR:
            return fault_to_errno(ret, 0), unlocked
        if not ret & (VM_FAULT_COMPLETED | VM_FAULT_RETRY):
            return 0, unlocked
        mm.lock("fixup_user_fault", read=True)
        unlocked = True
        if ret & VM_FAULT_COMPLETED:
            return 0, unlocked
        flags |= FAULT_FLAG_TRIED
