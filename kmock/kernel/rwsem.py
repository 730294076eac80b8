"""``struct rw_semaphore`` (``kernel/locking/rwsem.c``): many readers or one writer, who may sleep.

A reader waits behind a writer that waits, so that writers get their turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kmock.kernel import mutex
from kmock.kernel.hang import Wait
from kmock.kernel.held import Held, Lock
from kmock.kernel.task import TASK_RUNNING, TASK_UNINTERRUPTIBLE

if TYPE_CHECKING:
    from kmock.kernel.held import LockState
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_chain import Chain

_EINTR = 4


class rw_semaphore(Lock):
    """A reader-writer semaphore; ``init_rwsem()`` makes it usable, ``DECLARE_RWSEM(name)`` makes a usable one."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 40
    WORD: ClassVar[str] = "rwsem"
    PROTECTS: ClassVar[bool] = True
    WAIT: ClassVar[int] = 3


def down(
    k: Kernel,
    sem: rw_semaphore,
    how: str,
    at: str,
    *,
    read: bool,
    state: int = TASK_UNINTERRUPTIBLE,
    subclass: int = 0,
    nest: Lock | None = None,
) -> int:
    """Take the semaphore, sleeping in ``state`` meanwhile; -EINTR if a signal came first."""
    mine = sem.of(k)
    task = k.current
    if not mine.ready:
        k.lockdep.uninitialised(sem)
    if k.cpu.preempt_count or k.cpu.irqs_off or task.rcu_depth or task.non_block:
        k.atomic_sleep.might_sleep(at, "lock-sleeping-in-atomic", k.lockdep.describe(sem))
    chain = None
    if k.config.lockdep and not task.lockdep_off:
        chain = k.lockdep.acquire(sem, mine, read=read, trylock=False, subclass=subclass, nest=nest)
    if not _free(mine, read=read) and _wait(k, sem, mine, state, read=read):
        return -_EINTR
    _take(k, sem, mine, how, read=read, chain=chain)
    return 0


def trylock(k: Kernel, sem: rw_semaphore, how: str, *, read: bool) -> int:
    """Take it if that is possible at once; 1 if it was."""
    mine = sem.of(k)
    if not mine.ready:
        k.lockdep.uninitialised(sem)
    taken = mine.owner is None and (read or not mine.readers)
    k.lockdep.tried(sem, mine, taken=taken)
    if not taken:
        return 0
    chain = None
    if k.config.lockdep and not k.current.lockdep_off:
        chain = k.lockdep.acquire(sem, mine, read=read, trylock=True)
    _take(k, sem, mine, how, read=read, chain=chain)
    return 1


def _free(mine: LockState, *, read: bool) -> bool:
    if mine.owner is not None:
        return False
    return not mine.waiters if read else not mine.readers and not mine.waiters


def _take(k: Kernel, sem: rw_semaphore, mine: LockState, how: str, *, read: bool, chain: Chain | None) -> None:
    if not read:
        mutex.take(k, sem, mine, how, chain)
        return
    held = Held(k, sem, read=True, how=how, chain=chain)
    mine.readers.append(held)
    held.task.held.append(held)


def _wait(k: Kernel, sem: rw_semaphore, mine: LockState, state: int, *, read: bool) -> bool:
    """Sleep until it is this task's turn; whether a signal ended the wait."""
    task = k.current
    own = [held for held in (*mine.readers, *([mine.owner] if mine.owner else [])) if held.task is task]
    if own and not (read and own[0].read):
        mutex.recursion(k, sem, own[0])
    entry = (task, read)
    mine.waiters.append(entry)
    try:
        while not _my_turn(mine, entry):
            if task.signal_ends(state):
                return True
            task.state = state
            k.sched.schedule(Wait(f"for rwsem {k.lockdep.name(sem)}", sem))
    finally:
        mine.waiters.remove(entry)
        task.state = TASK_RUNNING
        _wake(k, mine)
    return False


def _my_turn(mine: LockState, entry: tuple[Task, bool]) -> bool:
    if mine.owner is not None:
        return False
    if entry[1]:
        # A reader goes with the readers in front of it.
        return all(read for _, read in list(mine.waiters)[: mine.waiters.index(entry)])
    return not mine.readers and mine.waiters[0] is entry


def _wake(k: Kernel, mine: LockState) -> None:
    for entry in list(mine.waiters):
        if not _my_turn(mine, entry):
            return
        k.sched.wake(entry[0])


def up(k: Kernel, sem: rw_semaphore, *, read: bool) -> None:
    """Release it the way it was taken."""
    mine = sem.of(k)
    task = k.current
    held = next((held for held in reversed(task.held) if held.lock is sem), None)
    if held is None:
        held = mine.owner or (mine.readers[0] if mine.readers else None)
        if held is None or (held.read and read) or not (held.read or read):
            k.lockdep.unlock_imbalance(sem, "lock-unlock-not-held" if held is None else "lock-unlock-wrong-task", held)
    if held is None:
        if read:
            _underflow(k)
        return
    if held.read is not read:
        _wrong_kind(k, sem, held, "up_read" if read else "up_write")
    held.let_go(k)
    mine.failed_try = None
    if held.read:
        mine.readers.remove(held)
    else:
        mine.owner = None
    _wake(k, mine)


def _underflow(k: Kernel) -> None:
    """What ``CONFIG_DEBUG_RWSEMS`` adds when the count of readers goes below zero."""
    for line, condition, count in (
        (1345, "!is_rwsem_reader_owned(sem)", "0x0"),
        (1350, "tmp < 0", "0xffffffffffffff00"),
    ):
        k.log.write(
            f"DEBUG_RWSEMS_WARN_ON({condition}): count = {count}, magic = 0x{k.layout.modules:x}, owner = 0x0, "
            f"curr 0x{k.layout.page_offset:x}, list empty"
        )
        k.log.write(f"WARNING: CPU: {k.cpu.id} PID: {k.current.pid} at kernel/locking/rwsem.c:{line} __up_read+0x0/0x0")


def _wrong_kind(k: Kernel, sem: rw_semaphore, held: Held, call: str) -> None:
    k.report(
        "lock-rwsem-misuse",
        f"BUG: kmock: lock-rwsem-misuse in {k.symbol(k.capture())}",
        lines=[f"{call}() of what {held.how}() took at {held.short}"],
        stacks={"access": k.capture(), "taken": held.stack},
        key=("rwsem", sem),
        object=k.lockdep.info(sem),
    )


def downgrade(k: Kernel, sem: rw_semaphore) -> None:
    """``downgrade_write()``: the writer becomes a reader."""
    mine = sem.of(k)
    task = k.current
    held = next((held for held in task.held if held.lock is sem), None)
    if held is None:
        k.lockdep.unlock_imbalance(sem, "lock-unlock-not-held")
    elif held.read:
        k.warn(
            "lock-rwsem-misuse",
            "kernel/locking/lockdep.c:5414",
            "lock_downgrade",
            "downgrading a read lock",
            stacks={"access": k.capture(), "taken": held.stack},
            key=("rwsem", sem),
            object=k.lockdep.info(sem),
        )
    else:
        mine.owner = None
        held.read = True
        held.how = "downgrade_write"
        mine.readers.append(held)
        k.lockdep.rehold(task.held, task.held.index(held))
        _wake(k, mine)
