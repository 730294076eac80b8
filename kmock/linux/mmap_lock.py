"""``<linux/mmap_lock.h>``: the lock of a process' address space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import rwsem
from kmock.kernel.task import TASK_KILLABLE
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.mm import mmap_lock

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.mm_struct import mm_struct

_AT = "kernel/locking/rwsem.c:"


@api(since="5.8", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="mmap_read_unlock")
def mmap_read_lock(k: Kernel, mm: mm_struct) -> None:
    """Take the lock to look at areas, or to have pages faulted in."""
    rwsem.down(k, mm.mmap_lock, "mmap_read_lock", _AT + "1519", read=True)


@api(since="5.8", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="mmap_read_unlock", fails=True)
def mmap_read_lock_killable(k: Kernel, mm: mm_struct) -> int:
    """:func:`mmap_read_lock` that gives up with -EINTR when a deadly signal comes."""
    return rwsem.down(k, mm.mmap_lock, "mmap_read_lock_killable", _AT + "1542", read=True, state=TASK_KILLABLE)


@api(since="5.8", illegal=Where.INTERRUPT, undo="mmap_read_unlock", fails=True)
def mmap_read_trylock(k: Kernel, mm: mm_struct) -> bool:
    """Take the lock to look at areas if that is possible at once; return whether it was."""
    return bool(rwsem.trylock(k, mm.mmap_lock, "mmap_read_trylock", read=True))


@api(since="5.8")
def mmap_read_unlock(k: Kernel, mm: mm_struct) -> None:
    """Undo :func:`mmap_read_lock`."""
    mm.unlock(read=True)


@api(since="5.8", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="mmap_write_unlock")
def mmap_write_lock(k: Kernel, mm: mm_struct) -> None:
    """Take the lock to change areas."""
    rwsem.down(k, mm.mmap_lock, "mmap_write_lock", _AT + "1572", read=False)


@api(since="5.8", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="mmap_write_unlock", fails=True)
def mmap_write_lock_killable(k: Kernel, mm: mm_struct) -> int:
    """:func:`mmap_write_lock` that gives up with -EINTR when a deadly signal comes."""
    return rwsem.down(k, mm.mmap_lock, "mmap_write_lock_killable", _AT + "1583", read=False, state=TASK_KILLABLE)


@api(since="5.8", illegal=Where.INTERRUPT, undo="mmap_write_unlock", fails=True)
def mmap_write_trylock(k: Kernel, mm: mm_struct) -> bool:
    """Take the lock to change areas if that is possible at once; return whether it was."""
    return bool(rwsem.trylock(k, mm.mmap_lock, "mmap_write_trylock", read=False))


@api(since="5.8")
def mmap_write_unlock(k: Kernel, mm: mm_struct) -> None:
    """Undo :func:`mmap_write_lock`."""
    mm.unlock()


@api(since="5.8", undo="mmap_read_unlock")
def mmap_write_downgrade(k: Kernel, mm: mm_struct) -> None:
    """Keep the lock as somebody who only looks."""
    rwsem.downgrade(k, mm.mmap_lock)


@api(since="5.8")
def mmap_assert_locked(k: Kernel, mm: mm_struct) -> None:
    """WARN unless the task holds the lock; BUG if nobody does."""
    mmap_lock.assert_locked(k, mm)


@api(since="5.8")
def mmap_assert_write_locked(k: Kernel, mm: mm_struct) -> None:
    """WARN unless the task holds the lock for writing; BUG if nobody holds it."""
    mmap_lock.assert_locked(k, mm, write=True)


__getattr__ = header_getattr(__name__)
__all__ = [
    "mmap_assert_locked",
    "mmap_assert_write_locked",
    "mmap_read_lock",
    "mmap_read_lock_killable",
    "mmap_read_trylock",
    "mmap_read_unlock",
    "mmap_write_downgrade",
    "mmap_write_lock",
    "mmap_write_lock_killable",
    "mmap_write_trylock",
    "mmap_write_unlock",
]
