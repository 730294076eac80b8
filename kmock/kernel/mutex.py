"""``struct mutex`` (``kernel/locking/mutex.c``): one owner, who may sleep; waiters in the order they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kmock.kernel.hang import Wait, deadlock
from kmock.kernel.held import Held, Lock
from kmock.kernel.task import TASK_RUNNING, TASK_UNINTERRUPTIBLE

if TYPE_CHECKING:
    from kmock.kernel.held import LockState
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_chain import Chain

_EINTR = 4
_AT = "kernel/locking/mutex.c:580"


class mutex(Lock):
    """A mutex; ``mutex_init()`` makes it usable, ``DEFINE_MUTEX(name)`` makes a usable one."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 32
    WORD: ClassVar[str] = "mutex"
    PROTECTS: ClassVar[bool] = True
    WAIT: ClassVar[int] = 3


def lock(
    k: Kernel,
    lock: mutex,
    how: str = "mutex_lock",
    *,
    state: int = TASK_UNINTERRUPTIBLE,
    subclass: int = 0,
    nest: Lock | None = None,
) -> int:
    """Take the mutex, sleeping in ``state`` meanwhile; -EINTR if a signal came first."""
    mine = lock.of(k)
    chain = _prepare(k, lock, mine, subclass, nest)
    if mine.owner is not None:
        if mine.owner.task is k.current:
            recursion(k, lock, mine.owner)
        if _wait(k, lock, mine, state):
            return -_EINTR
    take(k, lock, mine, how, chain)
    return 0


def _prepare(k: Kernel, lock: mutex, mine: LockState, subclass: int, nest: Lock | None) -> Chain | None:
    cpu = k.cpu
    task = cpu.task
    if cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block:
        k.atomic_sleep.might_sleep(_AT, "lock-sleeping-in-atomic", k.lockdep.describe(lock))
    if not mine.ready or mine.destroyed:
        _unusable(k, lock, mine)
    if k.config.lockdep and not task.lockdep_off:
        return k.lockdep.acquire(lock, mine, read=False, trylock=False, subclass=subclass, nest=nest)
    return None


def _unusable(k: Kernel, lock: Lock, mine: LockState) -> None:
    kind = "lock-used-after-destroy" if mine.destroyed else "lock-uninitialised"
    mine.destroyed = False
    k.lockdep.uninitialised(lock, kind)


def recursion(k: Kernel, lock: Lock, held: Held) -> None:
    """The task waits for what it holds itself: report it if lockdep hasn't, and stop here."""
    key = ("lock-recursive", lock)
    told = k.reports.find(key)
    if told is None:
        task = k.current
        k.report(
            "lock-recursive",
            f"INFO: task {task.comm}:{task.pid} blocked for more than 120 seconds.",
            lines=[
                f"task {task!r} waits for {lock.WORD} {k.lockdep.name(lock)}, which it holds itself",
                k.lockdep.line(held),
            ],
            stacks={"access": k.capture(), "taken": held.stack},
            key=key,
            object=k.lockdep.info(lock),
        )
        told = k.reports.find(key)
    raise deadlock(k, told)


def _wait(k: Kernel, lock: mutex, mine: LockState, state: int) -> bool:
    """Sleep until the mutex is free; whether a signal ended the wait."""
    task = k.current
    mine.waiters.append(task)
    try:
        while mine.owner is not None:
            if task.signal_ends(state):
                return True
            task.state = state
            k.sched.schedule(Wait(f"for mutex {k.lockdep.name(lock)}", lock))
    finally:
        mine.waiters.remove(task)
        task.state = TASK_RUNNING
    return False


def take(k: Kernel, lock: Lock, mine: LockState, how: str, chain: Chain | None) -> None:
    """Note the new owner."""
    mine.owner = Held(k, lock, read=False, how=how, chain=chain)
    mine.owner.task.held.append(mine.owner)


def trylock(k: Kernel, lock: mutex) -> int:
    """``mutex_trylock()``: 1 if it was free."""
    mine = lock.of(k)
    if not mine.ready or mine.destroyed:
        _unusable(k, lock, mine)
    k.lockdep.tried(lock, mine, taken=mine.owner is None)
    if mine.owner is not None:
        return 0
    chain = None
    if k.config.lockdep and not k.current.lockdep_off:
        chain = k.lockdep.acquire(lock, mine, read=False, trylock=True)
    take(k, lock, mine, "mutex_trylock", chain)
    return 1


def unlock(k: Kernel, lock: mutex) -> None:
    """``mutex_unlock()``: by the task that locked it."""
    mine = lock.of(k)
    if not mine.ready or mine.destroyed:
        _unusable(k, lock, mine)
    held = mine.owner
    if held is None or held.task is not k.current:
        k.lockdep.unlock_imbalance(lock, "lock-unlock-not-held" if held is None else "lock-unlock-wrong-task", held)
    if held is None:
        return
    held.let_go(k)
    mine.owner = mine.failed_try = None
    if mine.waiters:
        k.sched.wake(mine.waiters[0])


def destroy(k: Kernel, lock: mutex) -> None:
    """``mutex_destroy()``: not while somebody holds it."""
    mine = lock.of(k)
    if mine.owner is not None:
        k.warn(
            "lock-destroyed-held",
            "kernel/locking/mutex-debug.c:114",
            "mutex_destroy",
            "DEBUG_LOCKS_WARN_ON(mutex_is_locked(lock))",
            stacks={"access": k.capture(), "taken": mine.owner.stack},
            key=("held", lock),
            object=k.lockdep.info(lock),
        )
    mine.destroyed = True
