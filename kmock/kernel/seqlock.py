"""Sequence counters and locks (``include/linux/seqlock.h``): readers that try again when a writer was there.

The count is odd while somebody writes. Who writes keeps others away, by the lock that goes with the counter
or by what the driver does itself; and must not be preempted, for readers spin meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from kmock.kernel import preempt
from kmock.kernel.hang import Wait
from kmock.kernel.held import Lock, PerKernel, lockdep_map
from kmock.kernel.mutex import mutex
from kmock.kernel.spinlock import raw_spinlock_t, rwlock_t, spinlock_t

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lockdep import Site
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

T = TypeVar("T")
_PLAIN = "include/linux/seqlock.h:269"
_ASSERTED_AT = {raw_spinlock_t: 274, spinlock_t: 275, rwlock_t: 276, mutex: 277}
_WRAP = 0xFFFF_FFFF


class SeqState:
    """A sequence counter in one kernel."""

    __slots__ = ("began", "map", "readers", "sequence", "writer")

    def __init__(self, name: str) -> None:
        self.map = lockdep_map(name)
        """A reader in an interrupt spins for ever if that interrupted the writer: to lockdep it is a lock."""
        self.sequence = 0
        self.writer: Task | None = None
        self.began: Stack = ()
        """Where the writer began."""
        self.readers: list[Task] = []
        """Who spins until the writer is through."""


class seqcount_t(PerKernel[SeqState]):
    """A sequence counter. ``lock`` is what writers hold; without one they have preemption off."""

    __slots__ = ("lock", "name")
    C_SIZE: ClassVar[int] = 4

    def __init__(self, name: str = "", lock: Lock | None = None) -> None:
        super().__init__()
        self.name = name
        self.lock = lock

    def fresh(self) -> SeqState:
        """A counter starts at 0."""
        return SeqState(self.name or "&s->seqcount")

    def reset(self, k: Kernel, lock: Lock | None) -> None:
        """``seqcount_init()`` and its kin."""
        state = self.of(k)
        state.sequence, state.writer = 0, None
        self.lock = lock

    def __repr__(self) -> str:
        return f"<seqcount {self.name}>" if self.name else "<seqcount>"


class seqlock_t:
    """A sequence counter with the spin lock that its writers take."""

    __slots__ = ("__weakref__", "lock", "seqcount")
    C_SIZE: ClassVar[int] = 8

    def __init__(self, name: str = "", site: Site | None = None) -> None:
        self.lock = spinlock_t(name, site)
        self.seqcount = seqcount_t(name, self.lock)

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that it lies in is being freed."""
        self.lock.memory_freed(k, allocation)


# -- readers ----------------------------------------------------------------------------------------------


def read_begin(k: Kernel, s: seqcount_t) -> int:
    """``read_seqcount_begin()``: the count, once it is even."""
    state = s.of(k)
    if not state.sequence & 1:  # else the wait speaks for itself
        k.lockdep.might_take(state.map, read=2, irqs_off=True)
    while state.sequence & 1:
        state.readers.append(k.current)
        k.sched.park(Wait(f"for the writer of {s!r}", s.lock))
    return state.sequence


def retry(k: Kernel, s: seqcount_t, start: int) -> int:
    """``read_seqcount_retry()``: whether a writer was there since the count was ``start``."""
    return int(s.of(k).sequence != start)


# -- writers ----------------------------------------------------------------------------------------------


def write_begin(k: Kernel, s: seqcount_t) -> None:
    """``write_seqcount_begin()``: reported where nothing keeps other writers, or preemption, away."""
    _assert_protected(k, s)
    k.lockdep.might_take(s.of(k).map)
    if isinstance(s.lock, mutex):
        preempt.preempt_disable(k)
    raw_write_begin(k, s)


def raw_write_begin(k: Kernel, s: seqcount_t) -> None:
    """The count becomes odd."""
    state = s.of(k)
    if state.writer is not None:
        _two_writers(k, s, state)
    state.sequence = state.sequence + 1 & _WRAP
    state.writer = k.current
    state.began = k.capture()


def write_end(k: Kernel, s: seqcount_t) -> None:
    """``write_seqcount_end()``."""
    raw_write_end(k, s)
    if isinstance(s.lock, mutex):
        preempt.preempt_enable(k)


def raw_write_end(k: Kernel, s: seqcount_t) -> None:
    """The count becomes even, and readers go on."""
    state = s.of(k)
    state.sequence = state.sequence + 1 & _WRAP
    state.writer = None
    readers, state.readers = state.readers, []
    for task in readers:
        k.sched.unpark(task)


def invalidate(k: Kernel, s: seqcount_t) -> None:
    """``write_seqcount_invalidate()``: readers that are at it will try again."""
    state = s.of(k)
    state.sequence = state.sequence + 2 & _WRAP


def _assert_protected(k: Kernel, s: seqcount_t) -> None:
    if not k.config.lockdep or k.current.lockdep_off:
        return
    if s.lock is None:
        if not k.cpu.preempt_count and not k.cpu.irqs_off:
            k.warn("seqlock-write-unlocked", _PLAIN, "do_write_seqcount_begin", key=("seq", s))
    elif not any(held.lock is s.lock for held in k.current.held):
        at = f"include/linux/seqlock.h:{_ASSERTED_AT[type(s.lock)]}"
        k.warn("seqlock-write-unlocked", at, "do_write_seqcount_begin", key=("seq", s), object=k.lockdep.info(s.lock))


def _two_writers(k: Kernel, s: seqcount_t, state: SeqState) -> None:
    """The count becomes even while both write: readers would believe what they see."""
    k.report(
        "seqlock-write-unlocked",
        f"BUG: kmock: seqlock-write-unlocked in {k.symbol(k.capture())}",
        lines=[f"{state.writer!r} is writing under {s!r} already: the count goes even, and readers see half a change"],
        stacks={"access": k.capture(), "first writer": state.began},
        key=("seq", s),
    )


# -- seqlock_t --------------------------------------------------------------------------------------------


def write_lock(k: Kernel, sl: seqlock_t, take: Callable[[Kernel, Lock, str], T], how: str) -> T:
    """``write_seqlock()`` and its variants; ``take`` is the spin lock's, what it returns comes back."""
    returned = take(k, sl.lock, how)
    k.lockdep.might_take(sl.seqcount.of(k).map)
    raw_write_begin(k, sl.seqcount)
    return returned


def write_unlock(k: Kernel, sl: seqlock_t, release: Callable[..., object], how: str, *flags: int) -> None:
    """``write_sequnlock()`` and its variants."""
    raw_write_end(k, sl.seqcount)
    release(k, sl.lock, *flags, how)
