"""``<linux/mutex.h>``: one owner at a time, and the others sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import mutex as _mutex
from kmock.kernel.mutex import mutex
from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_KILLABLE
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.kernel.held import Lock
    from kmock.machine import Kernel


def DEFINE_MUTEX(name: str) -> mutex:
    """Define an initialised mutex; may run before any kernel is booted."""
    return mutex(name, definition_site())


@api(since="2.6.16")
def mutex_init(k: Kernel, lock: mutex) -> None:
    """Make ``lock`` usable, and free."""
    k.lockdep.initialise(lock)


@api(since="2.6.16", sleeps=Sleeps.ALWAYS, undo="mutex_unlock")
def mutex_lock(k: Kernel, lock: mutex) -> None:
    """Take ``lock``; sleep until it is free."""
    _mutex.lock(k, lock)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="mutex_unlock")
def mutex_lock_nested(k: Kernel, lock: mutex, subclass: int) -> None:
    """Take ``lock`` inside another one of its class, at level ``subclass``."""
    _mutex.lock(k, lock, "mutex_lock_nested", subclass=subclass)


@api(since="3.7", sleeps=Sleeps.ALWAYS, undo="mutex_unlock")
def mutex_lock_nest_lock(k: Kernel, lock: mutex, nest_lock: Lock) -> None:
    """Take ``lock`` beside others of its class: whoever does so holds ``nest_lock``, so their order does not matter."""
    _mutex.lock(k, lock, "mutex_lock_nest_lock", nest=nest_lock)


@api(since="2.6.16", sleeps=Sleeps.ALWAYS, undo="mutex_unlock", fails=True)
def mutex_lock_interruptible(k: Kernel, lock: mutex) -> int:
    """``mutex_lock()`` that gives up with -EINTR when a signal comes."""
    return _mutex.lock(k, lock, "mutex_lock_interruptible", state=TASK_INTERRUPTIBLE)


@api(since="2.6.25", sleeps=Sleeps.ALWAYS, undo="mutex_unlock", fails=True)
def mutex_lock_killable(k: Kernel, lock: mutex) -> int:
    """``mutex_lock()`` that gives up with -EINTR when a deadly signal comes."""
    return _mutex.lock(k, lock, "mutex_lock_killable", state=TASK_KILLABLE)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="mutex_unlock", fails=True)
def mutex_lock_interruptible_nested(k: Kernel, lock: mutex, subclass: int) -> int:
    """``mutex_lock_nested()`` that gives up with -EINTR when a signal comes."""
    how = "mutex_lock_interruptible_nested"
    return _mutex.lock(k, lock, how, state=TASK_INTERRUPTIBLE, subclass=subclass)


@api(since="2.6.25", sleeps=Sleeps.ALWAYS, undo="mutex_unlock", fails=True)
def mutex_lock_killable_nested(k: Kernel, lock: mutex, subclass: int) -> int:
    """``mutex_lock_nested()`` that gives up with -EINTR when a deadly signal comes."""
    return _mutex.lock(k, lock, "mutex_lock_killable_nested", state=TASK_KILLABLE, subclass=subclass)


@api(since="2.6.16", illegal=Where.INTERRUPT, undo="mutex_unlock")
def mutex_trylock(k: Kernel, lock: mutex) -> int:
    """Take ``lock`` if it is free: 1; else 0. Not in interrupts: the owner is a task."""
    return _mutex.trylock(k, lock)


@api(since="2.6.16", illegal=Where.INTERRUPT)
def mutex_unlock(k: Kernel, lock: mutex) -> None:
    """Release ``lock``, which the task holds; not in interrupts."""
    _mutex.unlock(k, lock)


@api(since="2.6.16")
def mutex_is_locked(k: Kernel, lock: mutex) -> int:
    """Whether somebody holds ``lock``."""
    return int(lock.of(k).owner is not None)


@api(since="2.6.16")
def mutex_destroy(k: Kernel, lock: mutex) -> None:
    """Make ``lock`` unusable; not while somebody holds it."""
    _mutex.destroy(k, lock)


__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_MUTEX",
    "mutex",
    "mutex_destroy",
    "mutex_init",
    "mutex_is_locked",
    "mutex_lock",
    "mutex_lock_interruptible",
    "mutex_lock_interruptible_nested",
    "mutex_lock_killable",
    "mutex_lock_killable_nested",
    "mutex_lock_nest_lock",
    "mutex_lock_nested",
    "mutex_trylock",
    "mutex_unlock",
]
