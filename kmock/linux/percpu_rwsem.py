"""``<linux/percpu-rwsem.h>``: a read-write semaphore for many readers, on every processor, and rare writers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kmock.kernel import rwsem
from kmock.kernel.rwsem import rw_semaphore
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.machine import Kernel


class percpu_rw_semaphore(rw_semaphore):
    """``percpu_init_rwsem()`` makes it usable, ``DEFINE_STATIC_PERCPU_RWSEM(name)`` makes a usable one."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 96
    WORD: ClassVar[str] = "percpu rwsem"


def DEFINE_STATIC_PERCPU_RWSEM(name: str) -> percpu_rw_semaphore:
    """Define an initialised semaphore; may run before any kernel is booted."""
    return percpu_rw_semaphore(name, definition_site())


@api(since="3.8", sleeps=Sleeps.ALWAYS, undo="percpu_free_rwsem")
def percpu_init_rwsem(k: Kernel, sem: percpu_rw_semaphore) -> int:
    """Make ``sem`` usable, and free: 0."""
    k.lockdep.initialise(sem)
    return 0


@api(since="3.8")
def percpu_free_rwsem(k: Kernel, sem: percpu_rw_semaphore) -> None:
    """Give up what ``percpu_init_rwsem()`` made."""
    sem.of(k).ready = False


@api(since="3.8", sleeps=Sleeps.ALWAYS, undo="percpu_up_read")
def percpu_down_read(k: Kernel, sem: percpu_rw_semaphore) -> None:
    """Take ``sem`` for reading; sleep while a writer has it or waits for it."""
    rwsem.down(k, sem, "percpu_down_read", "include/linux/percpu-rwsem.h:49", read=True)


@api(since="4.11", undo="percpu_up_read")
def percpu_down_read_trylock(k: Kernel, sem: percpu_rw_semaphore) -> bool:
    """Take ``sem`` for reading unless a writer has it: whether that worked."""
    return bool(rwsem.trylock(k, sem, "percpu_down_read_trylock", read=True))


@api(since="3.8")
def percpu_up_read(k: Kernel, sem: percpu_rw_semaphore) -> None:
    """Release what ``percpu_down_read()`` took."""
    rwsem.up(k, sem, read=True)


@api(since="3.8", sleeps=Sleeps.ALWAYS, undo="percpu_up_write")
def percpu_down_write(k: Kernel, sem: percpu_rw_semaphore) -> None:
    """Take ``sem`` for writing; sleep until nobody has it."""
    rwsem.down(k, sem, "percpu_down_write", "kernel/locking/percpu-rwsem.c:223", read=False)


@api(since="3.8")
def percpu_up_write(k: Kernel, sem: percpu_rw_semaphore) -> None:
    """Release what ``percpu_down_write()`` took."""
    rwsem.up(k, sem, read=False)


__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_STATIC_PERCPU_RWSEM",
    "percpu_down_read",
    "percpu_down_read_trylock",
    "percpu_down_write",
    "percpu_free_rwsem",
    "percpu_init_rwsem",
    "percpu_rw_semaphore",
    "percpu_up_read",
    "percpu_up_write",
]
