"""``<linux/wait.h>``: sleeping until a condition holds.

C passes the condition as an expression; here it is a callable: ``wait_event(queue, lambda: dev.ready)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import spinlock as _spinlock
from kmock.kernel import wait as _wait
from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_KILLABLE, TASK_NORMAL, TASK_UNINTERRUPTIBLE
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT
from kmock.kernel.wait import WQ_FLAG_EXCLUSIVE, wait_queue_entry, wait_queue_head_t
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.sched import task_of
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.held import Lock
    from kmock.kernel.task import Task
    from kmock.linux.sched import Current
    from kmock.machine import Kernel


def DECLARE_WAIT_QUEUE_HEAD(name: str) -> wait_queue_head_t:
    """Define an initialised wait queue; may run before any kernel is booted."""
    return wait_queue_head_t(name, definition_site())


def DECLARE_WAIT_QUEUE_HEAD_ONSTACK(name: str) -> wait_queue_head_t:
    """Define an initialised wait queue that is a local variable."""
    return wait_queue_head_t(name, definition_site())


@api(since="2.3.31")
def init_waitqueue_head(k: Kernel, wq_head: wait_queue_head_t) -> None:
    """Make ``wq_head`` usable, with nobody on it."""
    k.lockdep.initialise(wq_head)


@api(since="2.5.53")
def DEFINE_WAIT(k: Kernel, name: str = "wait") -> wait_queue_entry:
    """Define an entry for the current task."""
    return wait_queue_entry(k.current)


@api(since="2.3.31")
def DECLARE_WAITQUEUE(k: Kernel, name: str, tsk: Task | Current | None = None) -> wait_queue_entry:
    """Define an entry for task ``tsk``."""
    return wait_queue_entry(task_of(tsk) or k.current)


@api(since="2.3.31")
def init_waitqueue_entry(k: Kernel, wq_entry: wait_queue_entry, p: Task | Current) -> None:
    """Make ``wq_entry`` stand for task ``p``."""
    wq_entry.private, wq_entry.func, wq_entry.flags = task_of(p), None, 0


@api(since="2.5.53")
def init_waitqueue_func_entry(k: Kernel, wq_entry: wait_queue_entry, func: Callable[[Any], int]) -> None:
    """Have ``func(entry)`` called instead of a task woken."""
    wq_entry.private, wq_entry.func, wq_entry.flags = None, func, 0


@api(since="1.0", undo="remove_wait_queue")
def add_wait_queue(k: Kernel, wq_head: wait_queue_head_t, wq_entry: wait_queue_entry) -> None:
    """Put an entry on the queue."""
    _wait.add(k, wq_head, wq_entry)


@api(since="2.3.31", undo="remove_wait_queue")
def add_wait_queue_exclusive(k: Kernel, wq_head: wait_queue_head_t, wq_entry: wait_queue_entry) -> None:
    """Put an entry on the queue of which only one is woken at a time."""
    _wait.add(k, wq_head, wq_entry, exclusive=True)


@api(since="1.0")
def remove_wait_queue(k: Kernel, wq_head: wait_queue_head_t, wq_entry: wait_queue_entry) -> None:
    """Take an entry off the queue."""
    _wait.remove(k, wq_head, wq_entry)


@api(since="2.5.30", undo="finish_wait")
def prepare_to_wait(k: Kernel, wq_head: wait_queue_head_t, wq_entry: wait_queue_entry, state: int) -> None:
    """Be on the queue and about to sleep; then test the condition, then ``schedule()``."""
    _wait.prepare(k, wq_head, wq_entry, state)


@api(since="2.5.30", undo="finish_wait")
def prepare_to_wait_exclusive(k: Kernel, wq_head: wait_queue_head_t, wq_entry: wait_queue_entry, state: int) -> bool:
    """``prepare_to_wait()`` as one of those of which only one is woken; whether the queue was empty."""
    empty = not _wait.queue(k, wq_head).waiters
    _wait.prepare(k, wq_head, wq_entry, state, exclusive=True)
    return empty


@api(since="2.5.30")
def finish_wait(k: Kernel, wq_head: wait_queue_head_t, wq_entry: wait_queue_entry) -> None:
    """Be running again, and off the queue."""
    _wait.finish(k, wq_head, wq_entry)


@api(since="2.3.31")
def waitqueue_active(k: Kernel, wq_head: wait_queue_head_t) -> int:
    """Whether somebody is on the queue."""
    return int(bool(_wait.queue(k, wq_head).waiters))


@api(since="4.6")
def wq_has_sleeper(k: Kernel, wq_head: wait_queue_head_t) -> bool:
    """Whether somebody is on the queue, seen behind a memory barrier."""
    return bool(_wait.queue(k, wq_head).waiters)


# -- waking ---------------------------------------------------------------------------------------------


@api(since="1.0")
def wake_up(k: Kernel, wq_head: wait_queue_head_t) -> int:
    """Wake all sleepers, and one of the exclusive ones."""
    return _wait.wake(k, wq_head)


@api(since="2.4.0")
def wake_up_nr(k: Kernel, wq_head: wait_queue_head_t, nr: int) -> int:
    """Wake all sleepers, and ``nr`` of the exclusive ones."""
    return _wait.wake(k, wq_head, TASK_NORMAL, nr)


@api(since="2.4.0")
def wake_up_all(k: Kernel, wq_head: wait_queue_head_t) -> int:
    """Wake all sleepers, exclusive or not."""
    return _wait.wake(k, wq_head, TASK_NORMAL, 0)


@api(since="1.0")
def wake_up_interruptible(k: Kernel, wq_head: wait_queue_head_t) -> int:
    """``wake_up()`` for sleepers that listen to signals."""
    return _wait.wake(k, wq_head, TASK_INTERRUPTIBLE)


@api(since="2.4.0")
def wake_up_interruptible_nr(k: Kernel, wq_head: wait_queue_head_t, nr: int) -> int:
    """``wake_up_nr()`` for sleepers that listen to signals."""
    return _wait.wake(k, wq_head, TASK_INTERRUPTIBLE, nr)


@api(since="2.4.0")
def wake_up_interruptible_all(k: Kernel, wq_head: wait_queue_head_t) -> int:
    """``wake_up_all()`` for sleepers that listen to signals."""
    return _wait.wake(k, wq_head, TASK_INTERRUPTIBLE, 0)


@api(since="2.4.0")
def wake_up_interruptible_sync(k: Kernel, wq_head: wait_queue_head_t) -> int:
    """``wake_up_interruptible()`` that does not give way at once."""
    return _wait.wake(k, wq_head, TASK_INTERRUPTIBLE)


# -- waiting --------------------------------------------------------------------------------------------


@api(since="2.2.18", sleeps=Sleeps.ALWAYS)
def wait_event(k: Kernel, wq_head: wait_queue_head_t, condition: Any) -> None:
    """Sleep, deaf to signals, until ``condition()`` holds."""
    _wait.wait_event(k, wq_head, condition)


@api(since="2.6.10", sleeps=Sleeps.ALWAYS, fails=True)
def wait_event_timeout(k: Kernel, wq_head: wait_queue_head_t, condition: Any, timeout: int) -> int:
    """Wait at most ``timeout`` jiffies: 0 when they are over, else those left, at least 1."""
    return _wait.wait_event(k, wq_head, condition, TASK_UNINTERRUPTIBLE, timeout)


@api(since="2.2.18", sleeps=Sleeps.ALWAYS, fails=True)
def wait_event_interruptible(k: Kernel, wq_head: wait_queue_head_t, condition: Any) -> int:
    """Wait: 0; or -ERESTARTSYS when a signal comes first."""
    return min(_wait.wait_event(k, wq_head, condition, TASK_INTERRUPTIBLE), 0)


@api(since="2.5.61", sleeps=Sleeps.ALWAYS, fails=True)
def wait_event_interruptible_timeout(k: Kernel, wq_head: wait_queue_head_t, condition: Any, timeout: int) -> int:
    """Wait at most ``timeout`` jiffies: those left, 0, or -ERESTARTSYS."""
    return _wait.wait_event(k, wq_head, condition, TASK_INTERRUPTIBLE, timeout)


@api(since="2.5.61", sleeps=Sleeps.ALWAYS, fails=True)
def wait_event_interruptible_exclusive(k: Kernel, wq_head: wait_queue_head_t, condition: Any) -> int:
    """``wait_event_interruptible()`` as one of those of which only one is woken."""
    return min(_wait.wait_event(k, wq_head, condition, TASK_INTERRUPTIBLE, exclusive=True), 0)


@api(since="2.6.25", sleeps=Sleeps.ALWAYS, fails=True)
def wait_event_killable(k: Kernel, wq_head: wait_queue_head_t, condition: Any) -> int:
    """Wait: 0; or -ERESTARTSYS when a deadly signal comes first."""
    return min(_wait.wait_event(k, wq_head, condition, TASK_KILLABLE), 0)


# Sleeps, but is called with the lock held: no contract against being called in atomic context.
@api(since="3.6")
def wait_event_lock_irq(k: Kernel, wq_head: wait_queue_head_t, condition: Any, lock: Lock) -> None:
    """Wait with ``lock`` held, taken by ``spin_lock_irq()``; it is released while the task sleeps."""
    if _wait.holds(condition):
        return
    entry = wait_queue_entry(k.current)
    while True:
        _wait.prepare(k, wq_head, entry, TASK_UNINTERRUPTIBLE)
        if _wait.holds(condition):
            break
        _spinlock.unlock_irq(k, lock, "spin_unlock_irq")
        k.sched.schedule()
        _spinlock.lock_irq(k, lock, "spin_lock_irq")
    _wait.finish(k, wq_head, entry)


@api(since="2.4.0", until="3.15", replaced_by="wait_event", sleeps=Sleeps.ALWAYS)
def sleep_on(k: Kernel, q: wait_queue_head_t) -> None:
    """Sleep until woken; a wake-up just before is lost, which is why it went."""
    _sleep_on(k, q, TASK_UNINTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT)


@api(since="2.4.0", until="3.15", replaced_by="wait_event_interruptible", sleeps=Sleeps.ALWAYS)
def interruptible_sleep_on(k: Kernel, q: wait_queue_head_t) -> None:
    """``sleep_on()`` that listens to signals."""
    _sleep_on(k, q, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT)


@api(since="2.4.0", until="3.15", replaced_by="wait_event_timeout", sleeps=Sleeps.ALWAYS)
def sleep_on_timeout(k: Kernel, q: wait_queue_head_t, timeout: int) -> int:
    """``sleep_on()`` for at most ``timeout`` jiffies: those left."""
    return _sleep_on(k, q, TASK_UNINTERRUPTIBLE, timeout)


@api(since="2.4.0", until="3.15", replaced_by="wait_event_interruptible_timeout", sleeps=Sleeps.ALWAYS)
def interruptible_sleep_on_timeout(k: Kernel, q: wait_queue_head_t, timeout: int) -> int:
    """``interruptible_sleep_on()`` for at most ``timeout`` jiffies: those left."""
    return _sleep_on(k, q, TASK_INTERRUPTIBLE, timeout)


def _sleep_on(k: Kernel, q: wait_queue_head_t, state: int, timeout: int) -> int:
    entry = wait_queue_entry(k.current)
    _wait.prepare(k, q, entry, state)
    left = k.sched.schedule_timeout(timeout)
    _wait.finish(k, q, entry)
    return left


__getattr__ = header_getattr(
    __name__,
    {"wait_event_freezable", "wait_event_cmd", "wait_event_hrtimeout", "wait_on_bit", "wake_up_bit", "wait_woken"},
)
__all__ = [
    "DECLARE_WAITQUEUE",
    "DECLARE_WAIT_QUEUE_HEAD",
    "DECLARE_WAIT_QUEUE_HEAD_ONSTACK",
    "DEFINE_WAIT",
    "WQ_FLAG_EXCLUSIVE",
    "add_wait_queue",
    "add_wait_queue_exclusive",
    "finish_wait",
    "init_waitqueue_entry",
    "init_waitqueue_func_entry",
    "init_waitqueue_head",
    "interruptible_sleep_on",
    "interruptible_sleep_on_timeout",
    "prepare_to_wait",
    "prepare_to_wait_exclusive",
    "remove_wait_queue",
    "sleep_on",
    "sleep_on_timeout",
    "wait_event",
    "wait_event_interruptible",
    "wait_event_interruptible_exclusive",
    "wait_event_interruptible_timeout",
    "wait_event_killable",
    "wait_event_lock_irq",
    "wait_event_timeout",
    "wait_queue_entry",
    "wait_queue_head_t",
    "waitqueue_active",
    "wake_up",
    "wake_up_all",
    "wake_up_interruptible",
    "wake_up_interruptible_all",
    "wake_up_interruptible_nr",
    "wake_up_interruptible_sync",
    "wake_up_nr",
    "wq_has_sleeper",
]
