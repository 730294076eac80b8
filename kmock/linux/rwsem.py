"""``<linux/rwsem.h>``: many readers or one writer, and the others sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import rwsem as _rwsem
from kmock.kernel.rwsem import rw_semaphore
from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_KILLABLE
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.kernel.held import Lock
    from kmock.machine import Kernel

_AT = "kernel/locking/rwsem.c:"


def DECLARE_RWSEM(name: str) -> rw_semaphore:
    """Define an initialised rwsem; may run before any kernel is booted."""
    return rw_semaphore(name, definition_site())


@api(since="2.2")
def init_rwsem(k: Kernel, sem: rw_semaphore) -> None:
    """Make ``sem`` usable, and free."""
    k.lockdep.initialise(sem)


@api(since="2.2", sleeps=Sleeps.ALWAYS, undo="up_read")
def down_read(k: Kernel, sem: rw_semaphore) -> None:
    """Take ``sem`` for reading; sleep until no writer has it or waits for it."""
    _rwsem.down(k, sem, "down_read", _AT + "1519", read=True)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="up_read")
def down_read_nested(k: Kernel, sem: rw_semaphore, subclass: int) -> None:
    """``down_read()`` inside another rwsem of the class."""
    _rwsem.down(k, sem, "down_read_nested", _AT + "1644", read=True, subclass=subclass)


@api(since="5.11", sleeps=Sleeps.ALWAYS, undo="up_read", fails=True)
def down_read_killable_nested(k: Kernel, sem: rw_semaphore, subclass: int) -> int:
    """``down_read_killable()`` inside another rwsem of the class."""
    how = "down_read_killable_nested"
    return _rwsem.down(k, sem, how, _AT + "1652", read=True, state=TASK_KILLABLE, subclass=subclass)


@api(since="5.9", sleeps=Sleeps.ALWAYS, undo="up_read", fails=True)
def down_read_interruptible(k: Kernel, sem: rw_semaphore) -> int:
    """``down_read()`` that gives up with -EINTR when a signal comes."""
    return _rwsem.down(k, sem, "down_read_interruptible", _AT + "1528", read=True, state=TASK_INTERRUPTIBLE)


@api(since="4.15", sleeps=Sleeps.ALWAYS, undo="up_read", fails=True)
def down_read_killable(k: Kernel, sem: rw_semaphore) -> int:
    """``down_read()`` that gives up with -EINTR when a deadly signal comes."""
    return _rwsem.down(k, sem, "down_read_killable", _AT + "1542", read=True, state=TASK_KILLABLE)


@api(since="2.4.16", undo="up_read")
def down_read_trylock(k: Kernel, sem: rw_semaphore) -> int:
    """Take ``sem`` for reading if that is possible at once: 1; else 0."""
    return _rwsem.trylock(k, sem, "down_read_trylock", read=True)


@api(since="2.2", sleeps=Sleeps.ALWAYS, undo="up_write")
def down_write(k: Kernel, sem: rw_semaphore) -> None:
    """Take ``sem`` for writing; sleep until nobody has it."""
    _rwsem.down(k, sem, "down_write", _AT + "1572", read=False)


@api(since="3.7", sleeps=Sleeps.ALWAYS, undo="up_write")
def down_write_nest_lock(k: Kernel, sem: rw_semaphore, nest_lock: Lock) -> None:
    """``down_write()`` beside others of the class: whoever does so holds ``nest_lock``."""
    _rwsem.down(k, sem, "down_write_nest_lock", _AT + "1666", read=False, nest=nest_lock)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="up_write")
def down_write_nested(k: Kernel, sem: rw_semaphore, subclass: int) -> None:
    """``down_write()`` inside another rwsem of the class."""
    _rwsem.down(k, sem, "down_write_nested", _AT + "1688", read=False, subclass=subclass)


@api(since="4.7", sleeps=Sleeps.ALWAYS, undo="up_write", fails=True)
def down_write_killable_nested(k: Kernel, sem: rw_semaphore, subclass: int) -> int:
    """``down_write_killable()`` inside another rwsem of the class."""
    how = "down_write_killable_nested"
    return _rwsem.down(k, sem, how, _AT + "1696", read=False, state=TASK_KILLABLE, subclass=subclass)


@api(since="4.7", sleeps=Sleeps.ALWAYS, undo="up_write", fails=True)
def down_write_killable(k: Kernel, sem: rw_semaphore) -> int:
    """``down_write()`` that gives up with -EINTR when a deadly signal comes."""
    return _rwsem.down(k, sem, "down_write_killable", _AT + "1583", read=False, state=TASK_KILLABLE)


@api(since="2.4.16", undo="up_write")
def down_write_trylock(k: Kernel, sem: rw_semaphore) -> int:
    """Take ``sem`` for writing if nobody has it: 1; else 0."""
    return _rwsem.trylock(k, sem, "down_write_trylock", read=False)


@api(since="2.2", illegal=Where.INTERRUPT)
def up_read(k: Kernel, sem: rw_semaphore) -> None:
    """Release what ``down_read()`` took."""
    _rwsem.up(k, sem, read=True)


@api(since="2.2", illegal=Where.INTERRUPT)
def up_write(k: Kernel, sem: rw_semaphore) -> None:
    """Release what ``down_write()`` took."""
    _rwsem.up(k, sem, read=False)


@api(since="2.5.45")
def downgrade_write(k: Kernel, sem: rw_semaphore) -> None:
    """Keep ``sem`` for reading, and let other readers in."""
    _rwsem.downgrade(k, sem)


@api(since="2.6.36")
def rwsem_is_locked(k: Kernel, sem: rw_semaphore) -> int:
    """Whether somebody has ``sem``."""
    state = sem.of(k)
    return int(state.owner is not None or bool(state.readers))


__getattr__ = header_getattr(__name__)
__all__ = [
    "DECLARE_RWSEM",
    "down_read",
    "down_read_interruptible",
    "down_read_killable",
    "down_read_killable_nested",
    "down_read_nested",
    "down_read_trylock",
    "down_write",
    "down_write_killable",
    "down_write_killable_nested",
    "down_write_nest_lock",
    "down_write_nested",
    "down_write_trylock",
    "downgrade_write",
    "init_rwsem",
    "rw_semaphore",
    "rwsem_is_locked",
    "up_read",
    "up_write",
]
