"""``<linux/rwlock.h>``: spinning locks for many readers or one writer.

``flags`` come back: ``flags = read_lock_irqsave(lock)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import spinlock
from kmock.kernel.spinlock import rwlock_t
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.kernel.preempt import Flags
    from kmock.machine import Kernel


def DEFINE_RWLOCK(name: str) -> rwlock_t:
    """Define an initialised rwlock; may run before any kernel is booted."""
    return rwlock_t(name, definition_site())


@api(since="2.2")
def rwlock_init(k: Kernel, lock: rwlock_t) -> None:
    """Make ``lock`` usable, and free."""
    k.lockdep.initialise(lock)


@api(since="2.2", undo="read_unlock")
def read_lock(k: Kernel, lock: rwlock_t) -> None:
    """Take ``lock`` for reading, spinning until that is possible."""
    spinlock.lock(k, lock, "read_lock", read=True)


@api(since="2.2", undo="read_unlock_irq")
def read_lock_irq(k: Kernel, lock: rwlock_t) -> None:
    """``read_lock()`` with interrupts off."""
    spinlock.lock_irq(k, lock, "read_lock_irq", read=True)


@api(since="2.2", undo="read_unlock_irqrestore")
def read_lock_irqsave(k: Kernel, lock: rwlock_t) -> Flags:
    """``read_lock()`` with interrupts off; the flags that were come back."""
    return spinlock.lock_irqsave(k, lock, "read_lock_irqsave", read=True)


@api(since="2.3.43", undo="read_unlock_bh")
def read_lock_bh(k: Kernel, lock: rwlock_t) -> None:
    """``read_lock()`` with bottom halves off."""
    spinlock.lock_bh(k, lock, "read_lock_bh", read=True)


@api(since="2.6.0", undo="read_unlock")
def read_trylock(k: Kernel, lock: rwlock_t) -> int:
    """Take ``lock`` for reading if that is possible at once: 1; else 0."""
    return spinlock.trylock(k, lock, "read_trylock", read=True)


@api(since="2.2")
def read_unlock(k: Kernel, lock: rwlock_t) -> None:
    """Release what ``read_lock()`` took."""
    spinlock.unlock(k, lock, "read_unlock")


@api(since="2.2")
def read_unlock_irq(k: Kernel, lock: rwlock_t) -> None:
    """Release what ``read_lock_irq()`` took, and turn interrupts on."""
    spinlock.unlock_irq(k, lock, "read_unlock_irq")


@api(since="2.2")
def read_unlock_irqrestore(k: Kernel, lock: rwlock_t, flags: int) -> None:
    """Release what ``read_lock_irqsave()`` took, and restore the interrupt flag."""
    spinlock.unlock_irqrestore(k, lock, flags, "read_unlock_irqrestore")


@api(since="2.3.43")
def read_unlock_bh(k: Kernel, lock: rwlock_t) -> None:
    """Release what ``read_lock_bh()`` took, and turn bottom halves on."""
    spinlock.unlock_bh(k, lock, "read_unlock_bh")


@api(since="2.2", undo="write_unlock")
def write_lock(k: Kernel, lock: rwlock_t) -> None:
    """Take ``lock`` for writing, spinning until that is possible."""
    spinlock.lock(k, lock, "write_lock")


@api(since="2.2", undo="write_unlock_irq")
def write_lock_irq(k: Kernel, lock: rwlock_t) -> None:
    """``write_lock()`` with interrupts off."""
    spinlock.lock_irq(k, lock, "write_lock_irq")


@api(since="2.2", undo="write_unlock_irqrestore")
def write_lock_irqsave(k: Kernel, lock: rwlock_t) -> Flags:
    """``write_lock()`` with interrupts off; the flags that were come back."""
    return spinlock.lock_irqsave(k, lock, "write_lock_irqsave")


@api(since="2.3.43", undo="write_unlock_bh")
def write_lock_bh(k: Kernel, lock: rwlock_t) -> None:
    """``write_lock()`` with bottom halves off."""
    spinlock.lock_bh(k, lock, "write_lock_bh")


@api(since="2.6.0", undo="write_unlock")
def write_trylock(k: Kernel, lock: rwlock_t) -> int:
    """Take ``lock`` for writing if that is possible at once: 1; else 0."""
    return spinlock.trylock(k, lock, "write_trylock")


@api(since="2.2")
def write_unlock(k: Kernel, lock: rwlock_t) -> None:
    """Release what ``write_lock()`` took."""
    spinlock.unlock(k, lock, "write_unlock")


@api(since="2.2")
def write_unlock_irq(k: Kernel, lock: rwlock_t) -> None:
    """Release what ``write_lock_irq()`` took, and turn interrupts on."""
    spinlock.unlock_irq(k, lock, "write_unlock_irq")


@api(since="2.2")
def write_unlock_irqrestore(k: Kernel, lock: rwlock_t, flags: int) -> None:
    """Release what ``write_lock_irqsave()`` took, and restore the interrupt flag."""
    spinlock.unlock_irqrestore(k, lock, flags, "write_unlock_irqrestore")


@api(since="2.3.43")
def write_unlock_bh(k: Kernel, lock: rwlock_t) -> None:
    """Release what ``write_lock_bh()`` took, and turn bottom halves on."""
    spinlock.unlock_bh(k, lock, "write_unlock_bh")


__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_RWLOCK",
    "read_lock",
    "read_lock_bh",
    "read_lock_irq",
    "read_lock_irqsave",
    "read_trylock",
    "read_unlock",
    "read_unlock_bh",
    "read_unlock_irq",
    "read_unlock_irqrestore",
    "rwlock_init",
    "rwlock_t",
    "write_lock",
    "write_lock_bh",
    "write_lock_irq",
    "write_lock_irqsave",
    "write_trylock",
    "write_unlock",
    "write_unlock_bh",
    "write_unlock_irq",
    "write_unlock_irqrestore",
]
