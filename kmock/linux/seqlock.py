"""``<linux/seqlock.h>``: counters by which readers see that a writer was there, and try again.

``seq = read_seqbegin(sl)``, read, ``if read_seqretry(sl, seq)``: once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import seqlock, spinlock
from kmock.kernel.seqlock import seqcount_t, seqlock_t
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.spinlock import *  # noqa: F403 -- the C header includes it
from kmock.linux.spinlock import __all__ as _spinlock
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.kernel.mutex import mutex
    from kmock.kernel.preempt import Flags
    from kmock.kernel.spinlock import raw_spinlock_t, rwlock_t, spinlock_t
    from kmock.machine import Kernel

seqcount_spinlock_t = seqcount_raw_spinlock_t = seqcount_rwlock_t = seqcount_mutex_t = seqcount_t


# -- counters -----------------------------------------------------------------------------------------------------


def SEQCNT_ZERO(name: str) -> seqcount_t:
    """Define a counter at 0; may run before any kernel is booted."""
    return seqcount_t(name)


@api(since="2.5.60")
def seqcount_init(k: Kernel, s: seqcount_t) -> None:
    """Set a counter to 0; its writers have preemption off."""
    s.reset(k, None)


@api(since="5.9")
def seqcount_spinlock_init(k: Kernel, s: seqcount_t, lock: spinlock_t) -> None:
    """Set a counter to 0; its writers hold ``lock``."""
    s.reset(k, lock)


@api(since="5.9")
def seqcount_raw_spinlock_init(k: Kernel, s: seqcount_t, lock: raw_spinlock_t) -> None:
    """Set a counter to 0; its writers hold ``lock``."""
    s.reset(k, lock)


@api(since="5.9")
def seqcount_rwlock_init(k: Kernel, s: seqcount_t, lock: rwlock_t) -> None:
    """Set a counter to 0; its writers hold ``lock``."""
    s.reset(k, lock)


@api(since="5.9")
def seqcount_mutex_init(k: Kernel, s: seqcount_t, lock: mutex) -> None:
    """Set a counter to 0; its writers hold ``lock``."""
    s.reset(k, lock)


@api(since="2.5.60")
def read_seqcount_begin(k: Kernel, s: seqcount_t) -> int:
    """Begin to read: the count, which is even; spins while somebody writes."""
    return seqlock.read_begin(k, s)


@api(since="3.12")
def raw_read_seqcount(k: Kernel, s: seqcount_t) -> int:
    """The count as it is, odd while somebody writes."""
    return s.of(k).sequence


@api(since="3.4")
def raw_seqcount_begin(k: Kernel, s: seqcount_t) -> int:
    """Begin to read without waiting: while somebody writes, the retry will say so."""
    return s.of(k).sequence & ~1


@api(since="2.5.60")
def read_seqcount_retry(k: Kernel, s: seqcount_t, start: int) -> int:
    """End reading: whether a writer was there meanwhile."""
    return seqlock.retry(k, s, start)


@api(since="2.5.60", undo="write_seqcount_end")
def write_seqcount_begin(k: Kernel, s: seqcount_t) -> None:
    """Begin to write, with the counter's lock held, or with preemption off where it has none."""
    seqlock.write_begin(k, s)


@api(since="2.5.60")
def write_seqcount_end(k: Kernel, s: seqcount_t) -> None:
    """End what ``write_seqcount_begin()`` began."""
    seqlock.write_end(k, s)


@api(since="3.12", undo="raw_write_seqcount_end")
def raw_write_seqcount_begin(k: Kernel, s: seqcount_t) -> None:
    """``write_seqcount_begin()``, unchecked."""
    seqlock.raw_write_begin(k, s)


@api(since="3.12")
def raw_write_seqcount_end(k: Kernel, s: seqcount_t) -> None:
    """End what ``raw_write_seqcount_begin()`` began."""
    seqlock.raw_write_end(k, s)


@api(since="2.6.36")
def write_seqcount_invalidate(k: Kernel, s: seqcount_t) -> None:
    """Have readers that are at it try again."""
    seqlock.invalidate(k, s)


# -- locks --------------------------------------------------------------------------------------------------------


def DEFINE_SEQLOCK(name: str) -> seqlock_t:
    """Define an initialised sequence lock; may run before any kernel is booted."""
    return seqlock_t(name, definition_site())


@api(since="2.5.60")
def seqlock_init(k: Kernel, sl: seqlock_t) -> None:
    """Make ``sl`` usable, and free."""
    k.lockdep.initialise(sl.lock)
    sl.seqcount.reset(k, sl.lock)


@api(since="2.5.60")
def read_seqbegin(k: Kernel, sl: seqlock_t) -> int:
    """Begin to read: the count, which is even; spins while somebody writes."""
    return seqlock.read_begin(k, sl.seqcount)


@api(since="2.5.60")
def read_seqretry(k: Kernel, sl: seqlock_t, start: int) -> int:
    """End reading: whether a writer was there meanwhile."""
    return seqlock.retry(k, sl.seqcount, start)


@api(since="2.5.60", undo="write_sequnlock")
def write_seqlock(k: Kernel, sl: seqlock_t) -> None:
    """Take the lock and begin to write."""
    seqlock.write_lock(k, sl, spinlock.lock, "write_seqlock")


@api(since="2.5.60")
def write_sequnlock(k: Kernel, sl: seqlock_t) -> None:
    """End what ``write_seqlock()`` began."""
    seqlock.write_unlock(k, sl, spinlock.unlock, "write_sequnlock")


@api(since="2.5.60", undo="write_sequnlock_irq")
def write_seqlock_irq(k: Kernel, sl: seqlock_t) -> None:
    """``write_seqlock()`` with interrupts off."""
    seqlock.write_lock(k, sl, spinlock.lock_irq, "write_seqlock_irq")


@api(since="2.5.60")
def write_sequnlock_irq(k: Kernel, sl: seqlock_t) -> None:
    """End what ``write_seqlock_irq()`` began."""
    seqlock.write_unlock(k, sl, spinlock.unlock_irq, "write_sequnlock_irq")


@api(since="2.5.60", undo="write_sequnlock_bh")
def write_seqlock_bh(k: Kernel, sl: seqlock_t) -> None:
    """``write_seqlock()`` with bottom halves off."""
    seqlock.write_lock(k, sl, spinlock.lock_bh, "write_seqlock_bh")


@api(since="2.5.60")
def write_sequnlock_bh(k: Kernel, sl: seqlock_t) -> None:
    """End what ``write_seqlock_bh()`` began."""
    seqlock.write_unlock(k, sl, spinlock.unlock_bh, "write_sequnlock_bh")


@api(since="2.5.60", undo="write_sequnlock_irqrestore")
def write_seqlock_irqsave(k: Kernel, sl: seqlock_t) -> Flags:
    """``write_seqlock()`` with interrupts off; the flags that were come back."""
    return seqlock.write_lock(k, sl, spinlock.lock_irqsave, "write_seqlock_irqsave")


@api(since="2.5.60")
def write_sequnlock_irqrestore(k: Kernel, sl: seqlock_t, flags: int) -> None:
    """End what ``write_seqlock_irqsave()`` began, and restore the interrupt flag."""
    seqlock.write_unlock(k, sl, spinlock.unlock_irqrestore, "write_sequnlock_irqrestore", flags)


@api(since="3.12", undo="read_sequnlock_excl")
def read_seqlock_excl(k: Kernel, sl: seqlock_t) -> None:
    """Read alone: no writer and no other such reader comes until ``read_sequnlock_excl()``."""
    spinlock.lock(k, sl.lock, "read_seqlock_excl")


@api(since="3.12")
def read_sequnlock_excl(k: Kernel, sl: seqlock_t) -> None:
    """End what ``read_seqlock_excl()`` began."""
    spinlock.unlock(k, sl.lock, "read_sequnlock_excl")


@api(since="3.12", undo="read_sequnlock_excl_irq")
def read_seqlock_excl_irq(k: Kernel, sl: seqlock_t) -> None:
    """Read alone: no writer and no other such reader comes, with interrupts off until ``read_sequnlock_excl_irq()``."""
    spinlock.lock_irq(k, sl.lock, "read_seqlock_excl_irq")


@api(since="3.12")
def read_sequnlock_excl_irq(k: Kernel, sl: seqlock_t) -> None:
    """End what ``read_seqlock_excl_irq()`` began."""
    spinlock.unlock_irq(k, sl.lock, "read_sequnlock_excl_irq")


@api(since="3.12", undo="read_sequnlock_excl_bh")
def read_seqlock_excl_bh(k: Kernel, sl: seqlock_t) -> None:
    """Read alone: no writer and no other such reader comes, with bottom halves off until ``read_sequnlock_excl_bh()``."""
    spinlock.lock_bh(k, sl.lock, "read_seqlock_excl_bh")


@api(since="3.12")
def read_sequnlock_excl_bh(k: Kernel, sl: seqlock_t) -> None:
    """End what ``read_seqlock_excl_bh()`` began."""
    spinlock.unlock_bh(k, sl.lock, "read_sequnlock_excl_bh")


__getattr__ = header_getattr(__name__)
_OWN = [
    "DEFINE_SEQLOCK",
    "SEQCNT_ZERO",
    "raw_read_seqcount",
    "raw_seqcount_begin",
    "raw_write_seqcount_begin",
    "raw_write_seqcount_end",
    "read_seqbegin",
    "read_seqcount_begin",
    "read_seqcount_retry",
    "read_seqlock_excl",
    "read_seqlock_excl_bh",
    "read_seqlock_excl_irq",
    "read_seqretry",
    "read_sequnlock_excl",
    "read_sequnlock_excl_bh",
    "read_sequnlock_excl_irq",
    "seqcount_init",
    "seqcount_mutex_init",
    "seqcount_mutex_t",
    "seqcount_raw_spinlock_init",
    "seqcount_raw_spinlock_t",
    "seqcount_rwlock_init",
    "seqcount_rwlock_t",
    "seqcount_spinlock_init",
    "seqcount_spinlock_t",
    "seqcount_t",
    "seqlock_init",
    "seqlock_t",
    "write_seqcount_begin",
    "write_seqcount_end",
    "write_seqcount_invalidate",
    "write_seqlock",
    "write_seqlock_bh",
    "write_seqlock_irq",
    "write_seqlock_irqsave",
    "write_sequnlock",
    "write_sequnlock_bh",
    "write_sequnlock_irq",
    "write_sequnlock_irqrestore",
]
__all__ = sorted({*_OWN, *_spinlock})  # noqa: PLE0605 -- a list
