"""Wait queues (``kernel/sched/wait.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.kernel.hang import Wait
from kmock.kernel.held import Lock
from kmock.kernel.task import TASK_NORMAL, TASK_RUNNING, TASK_UNINTERRUPTIBLE
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT
from kmock.stack import capture, user_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.held import LockState
    from kmock.kernel.task import Task
    from kmock.machine import Kernel

WQ_FLAG_EXCLUSIVE = 0x01
_ERESTARTSYS = 512


class wait_queue_head_t(Lock):
    """``init_waitqueue_head()`` makes it usable, ``DECLARE_WAIT_QUEUE_HEAD(name)`` makes a usable one."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 24
    WORD: ClassVar[str] = "wait queue"


class wait_queue_entry:
    """One sleeper on a wait queue, or a function to call instead of waking it."""

    __slots__ = ("flags", "func", "private")

    def __init__(self, task: Task | None = None, func: Callable[[Any], int] | None = None) -> None:
        self.private = task
        """The task to wake."""
        self.func = func
        self.flags = 0


def queue(k: Kernel, head: wait_queue_head_t) -> LockState:
    """The queue's state, which somebody has to have initialised."""
    mine = head.of(k)
    if not mine.ready:
        k.lockdep.uninitialised(head)
    return mine


def prepare(
    k: Kernel, head: wait_queue_head_t, entry: wait_queue_entry, state: int, *, exclusive: bool = False
) -> None:
    """``prepare_to_wait()``: be on the queue, exclusive sleepers last, and about to sleep."""
    waiters = queue(k, head).waiters
    entry.flags = WQ_FLAG_EXCLUSIVE if exclusive else 0
    if not any(other is entry for other in waiters):
        (waiters.append if exclusive else waiters.appendleft)(entry)
    set_state(k, state)


def set_state(k: Kernel, state: int) -> None:
    """``set_current_state()``."""
    task = k.current
    task.slept_at = capture(2)
    task.state = state


def finish(k: Kernel, head: wait_queue_head_t, entry: wait_queue_entry) -> None:
    """``finish_wait()``: running again, and off the queue."""
    k.current.state = TASK_RUNNING
    remove(k, head, entry)


def add(k: Kernel, head: wait_queue_head_t, entry: wait_queue_entry, *, exclusive: bool = False) -> None:
    """``add_wait_queue()``."""
    entry.flags = WQ_FLAG_EXCLUSIVE if exclusive else 0
    waiters = queue(k, head).waiters
    (waiters.append if exclusive else waiters.appendleft)(entry)


def remove(k: Kernel, head: wait_queue_head_t, entry: wait_queue_entry) -> None:
    """``remove_wait_queue()``."""
    waiters = queue(k, head).waiters
    if any(other is entry for other in waiters):
        waiters.remove(entry)


def wake(k: Kernel, head: wait_queue_head_t, states: int = TASK_NORMAL, exclusive: int = 1) -> int:
    """``__wake_up()``: all sleepers, but only ``exclusive`` of the exclusive ones (0 for all); how many woke."""
    woken = left = 0
    for entry in list(queue(k, head).waiters):
        ok = bool(entry.func(entry) if entry.func is not None else k.sched.wake(entry.private, states))
        woken += ok
        if ok and entry.flags & WQ_FLAG_EXCLUSIVE:
            left += 1
            if left == exclusive:
                break
    return woken


def holds(condition: Any) -> Any:
    """Evaluate a condition: C's expression is a callable here, or a value that never changes."""
    return condition() if callable(condition) else condition


def wait_event(
    k: Kernel,
    head: wait_queue_head_t,
    condition: Any,
    state: int = TASK_UNINTERRUPTIBLE,
    timeout: int = MAX_SCHEDULE_TIMEOUT,
    *,
    exclusive: bool = False,
) -> int:
    """``___wait_event()``: sleep until ``condition`` holds.

    The jiffies left (at least 1), 0 when ``timeout`` ran out first, -ERESTARTSYS after a signal.
    """
    task = k.current
    if k.cpu.preempt_count or k.cpu.irqs_off or task.rcu_depth or task.non_block:
        k.atomic_sleep.might_sleep(driver_place(k), "wait-atomic")
    if holds(condition):
        return timeout or 1
    entry = wait_queue_entry(task)
    try:
        while True:
            prepare(k, head, entry, state, exclusive=exclusive)
            if holds(condition):
                return timeout or 1
            if task.signal_ends(state):
                return -_ERESTARTSYS
            if not timeout:
                return 0
            timeout = k.sched.schedule_timeout(
                timeout, Wait("for its event", condition=condition if callable(condition) else None)
            )
    finally:
        finish(k, head, entry)


def driver_place(k: Kernel) -> str:
    """``file:line`` of the driver, where a macro of the kernel's expands."""
    found = user_frames(k.capture())
    return found[0].short if found else "kmock:0"
