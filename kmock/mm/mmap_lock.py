"""Who may look at an address space's areas (``include/linux/mmap_lock.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct


def assert_locked(k: Kernel, mm: mm_struct, *, write: bool = False) -> None:
    """``mmap_assert_locked()``, ``mmap_assert_write_locked()``: WARN, and BUG if nobody holds ``mmap_lock``."""
    held = any(held.lock is mm.mmap_lock and not (write and held.read) for held in k.current.held)
    if held:
        return
    line, function = (161, "mmap_assert_write_locked") if write else (155, "mmap_assert_locked")
    if k.config.lockdep:
        k.warn(
            "lock-assert-failed",
            f"include/linux/mmap_lock.h:{line}",
            function,
            hint="take it: mmap_read_lock(mm) to look at areas, mmap_write_lock(mm) to change them",
        )
    if k.config.debug_vm and not mm.is_locked():
        k.bug("lock-assert-failed", f"include/linux/mmap_lock.h:{line + 1}")
