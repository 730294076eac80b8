"""Who may look at an address space's areas (``include/linux/mmap_lock.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct


_HINT: Final = "take it: mmap_read_lock(mm) to look at areas, mmap_write_lock(mm) to change them"


def held_by_current(k: Kernel, mm: mm_struct, *, write: bool = False) -> bool:
    """Whether the running task holds ``mmap_lock``, with ``write`` for writing."""
    return any(held.lock is mm.mmap_lock and not (write and held.read) for held in k.current.held)


def need_locked(k: Kernel, mm: mm_struct, call: str) -> None:
    """Report ``call`` without ``mmap_lock`` where the kernel itself does not look."""
    if held_by_current(k, mm):
        return
    stack = k.capture()
    k.report(
        "lock-assert-failed",
        f"BUG: kmock: lock-assert-failed in {k.symbol(stack)}",
        lines=[f"{call}() without mmap_lock: the area may go while it is looked at"],
        stacks={"access": stack},
        key=(mm, call),
        hint=_HINT,
    )


def assert_locked(k: Kernel, mm: mm_struct, *, write: bool = False) -> None:
    """``mmap_assert_locked()``, ``mmap_assert_write_locked()``: WARN, and BUG if nobody holds ``mmap_lock``."""
    if held_by_current(k, mm, write=write):
        return
    line, function = (161, "mmap_assert_write_locked") if write else (155, "mmap_assert_locked")
    at = f"include/linux/mmap_lock.h:{line}"
    if k.config.debug_vm and not mm.is_locked():
        warning = f"WARNING: CPU: {k.cpu.id} PID: {k.current.pid} at {at} {function}+0x0/0x0"
        warnings = [warning] if k.config.lockdep else []
        k.bug("lock-assert-failed", f"include/linux/mmap_lock.h:{line + 1}", headlines=warnings, hint=_HINT)
    if k.config.lockdep:
        k.warn("lock-assert-failed", at, function, hint=_HINT)
