"""Spinning locks: ``spinlock_t``, ``raw_spinlock_t`` and ``rwlock_t`` (``kernel/locking/spinlock.c``).

A variant of a lock call is data: what it turns off beside preemption. Whoever takes a lock with one
variant has to release it with the same.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ClassVar

from kmock.errors import Deadlock
from kmock.hw.cpu import PREEMPT_MASK, SOFTIRQ_DISABLE_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET
from kmock.kernel.hang import Wait, deadlock
from kmock.kernel.held import Held, Lock
from kmock.kernel.preempt import (
    Flags,
    begin_section,
    irqs_on,
    local_bh_enable,
    local_irq_restore,
    save_flags,
    underflow,
)
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.kernel.held import LockState
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_chain import Chain


class spinlock_t(Lock):
    """A spin lock; ``spin_lock_init()`` makes it usable, ``DEFINE_SPINLOCK(name)`` makes a usable one."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 4
    WORD: ClassVar[str] = "spinlock"
    PROTECTS: ClassVar[bool] = True


class raw_spinlock_t(Lock):
    """A spin lock that spins even on PREEMPT_RT."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 4
    WORD: ClassVar[str] = "raw spinlock"
    PROTECTS: ClassVar[bool] = True
    RAW: ClassVar[bool] = True


class rwlock_t(Lock):
    """A spinning lock for many readers or one writer."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 8
    WORD: ClassVar[str] = "rwlock"
    PROTECTS: ClassVar[bool] = True


# -- taking -----------------------------------------------------------------------------------------------


def lock(k: Kernel, lock: Lock, how: str, *, read: bool = False, subclass: int = 0, nest: Lock | None = None) -> None:
    """Take a spinning lock; ``how`` names the call, ``nest`` a lock that is held by all who take several of the class."""
    begin_section(k)
    k.cpu.preempt_count += 1
    state = lock.of(k)
    if not state.ready:
        k.lockdep.uninitialised(lock)
    chain = None
    if k.config.lockdep and not k.current.lockdep_off:
        chain = k.lockdep.acquire(lock, state, read=read, trylock=False, subclass=subclass, nest=nest)
    if not _free(state, read=read):
        try:
            _spin(k, lock, state, read=read)
        except Deadlock:
            k.cpu.preempt_count -= 1
            raise
    _taken(k, lock, state, how, read=read, chain=chain)


def lock_irq(k: Kernel, lock_: Lock, how: str, *, read: bool = False) -> None:
    """The ``_irq`` variant: interrupts off first."""
    before = k.cpu.irqs_off
    begin_section(k)
    k.cpu.irqs_off = True
    lock(k, lock_, how, read=read)
    k.current.held[-1].irqs_off = before


def lock_irqsave(k: Kernel, lock_: Lock, how: str, *, read: bool = False, subclass: int = 0) -> Flags:
    """The ``_irqsave`` variant: the flags come back."""
    flags = save_flags(k)
    before = k.cpu.irqs_off
    begin_section(k)
    k.cpu.irqs_off = True
    lock(k, lock_, how, read=read, subclass=subclass)
    flags.lock = lock_
    held = k.current.held[-1]
    held.irqs_off = before
    held.flags = flags
    return flags


def lock_bh(k: Kernel, lock_: Lock, how: str, *, read: bool = False, subclass: int = 0) -> None:
    """The ``_bh`` variant: bottom halves off first."""
    begin_section(k)
    k.cpu.preempt_count += SOFTIRQ_DISABLE_OFFSET
    lock(k, lock_, how, read=read, subclass=subclass)


def trylock(k: Kernel, lock: Lock, how: str, *, read: bool = False) -> int:
    """Take a spinning lock if that is possible at once; 1 if it was."""
    state = lock.of(k)
    if not state.ready:
        k.lockdep.uninitialised(lock)
    if not _free(state, read=read):
        k.lockdep.tried(lock, state, taken=False)
        return 0
    k.lockdep.tried(lock, state, taken=True)
    begin_section(k)
    k.cpu.preempt_count += 1
    chain = None
    if k.config.lockdep and not k.current.lockdep_off:
        chain = k.lockdep.acquire(lock, state, read=read, trylock=True)
    _taken(k, lock, state, how, read=read, chain=chain)
    return 1


def trylock_bh(k: Kernel, lock: Lock, how: str) -> int:
    """``trylock()``, with bottom halves off if it worked."""
    if not _free(state := lock.of(k), read=False):
        k.lockdep.tried(lock, state, taken=False)
        return 0
    begin_section(k)
    k.cpu.preempt_count += SOFTIRQ_DISABLE_OFFSET
    return trylock(k, lock, how)


def trylock_irqsave(k: Kernel, lock_: Lock, how: str) -> tuple[int, Flags]:
    """``trylock()``, with interrupts off if it worked: whether, and the flags that were."""
    flags = save_flags(k)
    if not _free(state := lock_.of(k), read=False):
        k.lockdep.tried(lock_, state, taken=False)
        return 0, flags
    before = k.cpu.irqs_off
    begin_section(k)
    k.cpu.irqs_off = True
    trylock(k, lock_, how)
    held = k.current.held[-1]
    held.irqs_off = before
    flags.lock = lock_
    held.flags = flags
    return 1, flags


def _free(state: LockState, *, read: bool) -> bool:
    return state.owner is None and (read or not state.readers)


def _taken(k: Kernel, lock: Lock, state: LockState, how: str, *, read: bool, chain: Chain | None) -> None:
    held = Held(k, lock, read=read, how=how, chain=chain)
    if read:
        state.readers.append(held)
    else:
        state.owner = held
    held.task.held.append(held)


def _spin(k: Kernel, lock: Lock, state: LockState, *, read: bool) -> None:
    """Wait for the holder, who runs meanwhile if it can."""
    task = k.current
    mine = [held for held in ([state.owner] if state.owner else state.readers) if held.task is task]
    if mine:
        _self_deadlock(k, lock, mine[0])
    task.slept_at = capture(3)
    while not _free(state, read=read):
        state.waiters.append(task)
        k.sched.park(Wait(f"for {lock.WORD} {k.lockdep.name(lock)}", lock))


def _self_deadlock(k: Kernel, lock: Lock, held: Held) -> None:
    """The task spins for what it holds itself: report it if lockdep hasn't, and stop here."""
    cls = held.cls
    keys: list[object] = [("lock-recursive", lock), ("inconsistent", cls, False), ("inconsistent", cls, True)]
    told = next((found for key in keys if (found := k.reports.find(key)) is not None), None)
    if told is None:
        stacks = {"access": k.capture(), "taken": held.stack}
        told = k.lockdep.spin_bug(lock, "lock-recursive", "recursion", stacks) or k.reports.find(keys[0])
    raise deadlock(k, told)


# -- releasing --------------------------------------------------------------------------------------------


def unlock(k: Kernel, lock: Lock, how: str) -> Held | None:
    """Release a spinning lock; the record of how it was taken, None if it wasn't."""
    held = _drop(k, lock)
    if held is not None and k.config.lint:
        k.lockdep.held_too_long(held)
    if held is not None and (wrong := _mismatch(held, how)):
        mismatch(k, held, how, wrong)
    if k.cpu.preempt_count & PREEMPT_MASK:
        k.cpu.preempt_count -= 1
    elif held is not None and k.reports.find(("held", lock)) is None:
        underflow(k, "preempt-underflow")
    return held


def unlock_irq(k: Kernel, lock: Lock, how: str) -> None:
    """The ``_irq`` variant: interrupts on, whatever they were."""
    held = unlock(k, lock, how)
    if held is not None and held.irqs_off and held.how.endswith("_irq"):
        k.report(
            "irqs-enabled-inside-irqsave",
            f"BUG: kmock: irqs-enabled-inside-irqsave in {k.symbol(k.capture())}",
            lines=[f"interrupts were off already when {held.how}() was called at {held.short}"],
            stacks={"access": k.capture(), "taken": held.stack},
            key=("irqs-on", k.cpu.id, k.cpu.section),
            object=k.lockdep.info(lock),
        )
    irqs_on(k)


def unlock_irqrestore(k: Kernel, lock: Lock, flags: int, how: str) -> None:
    """The ``_irqrestore`` variant."""
    held = unlock(k, lock, how)
    other = flags.lock if isinstance(flags, Flags) else None
    if held is not None and held.flags is not None and other is not None and other is not lock:
        k.report(
            "lock-flags-reuse",
            f"BUG: kmock: lock-flags-reuse in {k.symbol(k.capture())}",
            lines=[f"the flags were saved by taking {k.lockdep.name(other)}, not {k.lockdep.name(lock)}"],
            stacks={"access": k.capture(), "taken": held.stack},
            key=("flags", k.cpu.id, k.cpu.section),
            object=k.lockdep.info(lock),
        )
    local_irq_restore(k, flags)


def unlock_bh(k: Kernel, lock: Lock, how: str) -> None:
    """The ``_bh`` variant."""
    held = unlock(k, lock, how)
    if held is None or "_bh" in held.how or k.cpu.preempt_count & SOFTIRQ_MASK & ~SOFTIRQ_OFFSET:
        local_bh_enable(k)


def innermost(task: Task, lock: Lock) -> Held | None:
    """How ``task`` holds ``lock``: the innermost time, None if it doesn't."""
    held: Held
    for held in reversed(task.held):
        if held.lock is lock:
            return held
    return None


def _drop(k: Kernel, lock: Lock) -> Held | None:
    state = lock.of(k)
    task = k.current
    held = innermost(task, lock)
    if held is None:
        holder = state.owner or (state.readers[0] if state.readers else None)
        k.lockdep.unlock_imbalance(lock, "lock-unlock-wrong-task" if holder else "lock-unlock-not-held", holder)
        if holder is None:
            return None
        held = holder
    held.let_go(k)
    if held.read:
        state.readers.remove(held)
    else:
        state.owner = None
    state.failed_try = None
    if state.waiters:
        for waiter in state.waiters:
            k.sched.unpark(waiter)
        state.waiters.clear()
    return held


@functools.cache
def release_of(how: str) -> str:
    """Return the call that undoes ``how``: ``spin_unlock_irqrestore`` for ``spin_lock_irqsave``."""
    plain = how.replace("try", "").replace("_nested", "").replace("_nest_lock", "")
    return plain.replace("lock", "unlock", 1).replace("irqsave", "irqrestore")


def _mismatch(held: Held, how: str) -> str:
    """Return the call that should have released it, if that is another."""
    wanted = release_of(held.how)
    if wanted == how:
        return ""
    # What a variant does may be shared with another lock or done by hand: spin_lock_irqsave(a), spin_lock(b),
    # spin_unlock(a), spin_unlock_irqrestore(b) is right, and so is local_bh_disable() before spin_lock().
    if (how == wanted + "_irqrestore" and held.irqs_off) or (how == wanted + "_bh" and held.bh_off):
        return ""
    if wanted == how + "_irqrestore" and any(other.irqs_off for other in held.task.held):
        return ""
    return wanted


def mismatch(k: Kernel, held: Held, how: str, wanted: str) -> None:
    """A lock is released by another variant than it was taken by."""
    kind = "lock-api-mismatch"
    k.report(
        kind,
        f"BUG: kmock: {kind} in {k.symbol(k.capture())}",
        lines=[f"{held.how}() at {held.short} is undone by {wanted}(), not {how}()"],
        stacks={"access": k.capture(), "taken": held.stack},
        key=("imbalance", k.cpu.id, k.cpu.section),
        object=k.lockdep.info(held.lock),
    )
