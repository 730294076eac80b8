"""``struct semaphore`` (``kernel/locking/semaphore.c``): a count, and tasks that wait for it in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kmock.kernel.hang import Wait
from kmock.kernel.held import Lock, LockState
from kmock.kernel.task import TASK_RUNNING, TASK_UNINTERRUPTIBLE
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lockdep import Site

_EINTR = 4
_ETIME = 62


class semaphore(Lock):
    """A counting semaphore; ``sema_init()`` makes it usable, ``DEFINE_SEMAPHORE(name)`` makes a usable one."""

    __slots__ = ("count",)
    C_SIZE: ClassVar[int] = 24
    WORD: ClassVar[str] = "semaphore"
    WAIT: ClassVar[int] = 3

    def __init__(self, name: str = "", site: Site | None = None, count: int = 1) -> None:
        super().__init__(name, site)
        self.count = count

    def fresh(self) -> LockState:
        """Starts with the count it was defined with."""
        return LockState(ready=bool(self.name), name=self.name, site=self.site, count=self.count)


class Waiter:
    """``struct semaphore_waiter``."""

    __slots__ = ("task", "up")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.up = False
        """Whether ``up()`` passed the semaphore on to this one."""


def down(
    k: Kernel, sem: semaphore, line: int, state: int = TASK_UNINTERRUPTIBLE, timeout: int = MAX_SCHEDULE_TIMEOUT
) -> int:
    """Take one; -EINTR if a signal came first, -ETIME after ``timeout`` jiffies. ``line`` of semaphore.c asks to sleep."""
    mine = _state(k, sem)
    k.atomic_sleep.might_sleep(f"kernel/locking/semaphore.c:{line}", "lock-sleeping-in-atomic")
    if mine.count > 0:
        mine.count -= 1
        return 0
    return _wait(k, sem, mine, state, timeout)


def _wait(k: Kernel, sem: semaphore, mine: LockState, state: int, timeout: int) -> int:
    task = k.current
    waiter = Waiter(task)
    mine.waiters.append(waiter)
    try:
        while not waiter.up:
            if task.signal_ends(state):
                return -_EINTR
            if timeout <= 0:
                return -_ETIME
            task.state = state
            timeout = k.sched.schedule_timeout(timeout, Wait(f"for semaphore {k.lockdep.name(sem)}"))
    finally:
        task.state = TASK_RUNNING
        if not waiter.up:
            mine.waiters.remove(waiter)
    return 0


def trylock(k: Kernel, sem: semaphore) -> int:
    """``down_trylock()``: 0 if it was taken, 1 if not, the reverse of other trylocks."""
    mine = _state(k, sem)
    k.lockdep.tried(sem, mine, taken=mine.count > 0)
    if mine.count <= 0:
        return 1
    mine.count -= 1
    return 0


def up(k: Kernel, sem: semaphore) -> None:
    """``up()``: by any task, in any context; passes it on to who waited longest."""
    mine = _state(k, sem)
    if not mine.waiters:
        mine.count += 1
        return
    waiter = mine.waiters.popleft()
    waiter.up = True
    k.sched.wake(waiter.task)


def _state(k: Kernel, sem: semaphore) -> LockState:
    mine = sem.of(k)
    if not mine.ready:
        k.lockdep.uninitialised(sem)
    return mine
