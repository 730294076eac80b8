"""``<linux/semaphore.h>``: a count that tasks take from, and sleep while it is zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import semaphore as _semaphore
from kmock.kernel.semaphore import semaphore
from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_KILLABLE, TASK_UNINTERRUPTIBLE
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.machine import Kernel


def DEFINE_SEMAPHORE(name: str, n: int = 1) -> semaphore:
    """Define a semaphore that starts at ``n``; may run before any kernel is booted."""
    return semaphore(name, definition_site(), n)


def DECLARE_MUTEX(name: str) -> semaphore:
    """Define a semaphore that starts at 1, as was done before 2.6.37."""
    return semaphore(name, definition_site(), 1)


@api(since="2.2")
def sema_init(k: Kernel, sem: semaphore, val: int) -> None:
    """Make ``sem`` usable, with the count ``val``."""
    k.lockdep.initialise(sem)
    sem.of(k).count = val


@api(since="2.2", until="2.6.37", replaced_by="sema_init")
def init_MUTEX(k: Kernel, sem: semaphore) -> None:
    """``sema_init(sem, 1)``."""
    k.lockdep.initialise(sem)
    sem.of(k).count = 1


@api(since="2.2", until="2.6.37", replaced_by="sema_init")
def init_MUTEX_LOCKED(k: Kernel, sem: semaphore) -> None:
    """``sema_init(sem, 0)``."""
    k.lockdep.initialise(sem)
    sem.of(k).count = 0


@api(since="1.0", sleeps=Sleeps.ALWAYS, undo="up")
def down(k: Kernel, sem: semaphore) -> None:
    """Take one; sleep, deaf to signals, until there is one."""
    _semaphore.down(k, sem, 59, TASK_UNINTERRUPTIBLE)


@api(since="1.1.11", sleeps=Sleeps.ALWAYS, undo="up", fails=True)
def down_interruptible(k: Kernel, sem: semaphore) -> int:
    """Take one: 0; or -EINTR when a signal comes first."""
    return _semaphore.down(k, sem, 83, TASK_INTERRUPTIBLE)


@api(since="2.6.26", sleeps=Sleeps.ALWAYS, undo="up", fails=True)
def down_killable(k: Kernel, sem: semaphore) -> int:
    """Take one: 0; or -EINTR when a deadly signal comes first."""
    return _semaphore.down(k, sem, 110, TASK_KILLABLE)


@api(since="2.6.26", sleeps=Sleeps.ALWAYS, undo="up", fails=True)
def down_timeout(k: Kernel, sem: semaphore, timeout: int) -> int:
    """Take one: 0; or -ETIME after ``timeout`` jiffies."""
    return _semaphore.down(k, sem, 165, TASK_UNINTERRUPTIBLE, timeout)


@api(since="2.2", undo="up")
def down_trylock(k: Kernel, sem: semaphore) -> int:
    """Take one if there is one: 0; else 1, the reverse of other trylocks."""
    return _semaphore.trylock(k, sem)


@api(since="1.0")
def up(k: Kernel, sem: semaphore) -> None:
    """Give one back, in any context and from any task."""
    _semaphore.up(k, sem)


__getattr__ = header_getattr(__name__)
__all__ = [
    "DECLARE_MUTEX",
    "DEFINE_SEMAPHORE",
    "down",
    "down_interruptible",
    "down_killable",
    "down_timeout",
    "down_trylock",
    "init_MUTEX",
    "init_MUTEX_LOCKED",
    "sema_init",
    "semaphore",
    "up",
]
