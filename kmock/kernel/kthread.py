"""Kernel threads (``kernel/kthread.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.errors import KernelOops
from kmock.kernel.balance import check_thread_exit
from kmock.kernel.hang import Wait
from kmock.kernel.task import PF_KTHREAD, TASK_NORMAL, TASK_RUNNING, TASK_UNINTERRUPTIBLE, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.stack import Stack

TASK_COMM_LEN = 16
_EINTR = 4
_EBUSY = 16
_ENOSYS = 38


class Thread:
    """``struct kthread``."""

    __slots__ = (
        "data",
        "done",
        "function",
        "made_at",
        "parked",
        "result",
        "should_park",
        "should_stop",
        "started",
        "waiters",
    )

    def __init__(self, function: Callable[[Any], int | None], data: Any) -> None:
        self.function = function
        self.data = data
        self.should_stop = False
        self.should_park = False
        self.parked = False
        self.started = False
        self.done = False
        self.result = 0
        self.made_at: Stack = ()
        """Where a driver made it."""
        self.waiters: list[Task] = []
        """Tasks in ``kthread_stop()`` and ``kthread_park()``."""


def create(k: Kernel, function: Callable[[Any], int | None], data: Any, name: str, cpu: int | None = None) -> Task:
    """``kthread_create()``: a thread that runs once it is woken."""
    k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274")
    task = Task(k.new_pid(), name[: TASK_COMM_LEN - 1], PF_KTHREAD)
    task.thread = Thread(function, data)
    if cpu is not None:
        task.cpu = k.cpus[cpu]
    k.sched.add(task, lambda: _main(k, task))
    return task


def _main(k: Kernel, task: Task) -> int:
    """``kthread()``: the thread's whole life."""
    thread: Thread = task.thread
    thread.started = True
    if thread.should_stop:
        # Stopped before it ever ran: the function is not called.
        thread.result = -_EINTR
    else:
        try:
            thread.result = thread.function(thread.data) or 0
            check_thread_exit(k, task)
        except KernelOops:
            # The kernel would have killed just this task, with all that it held; the report is made.
            thread.result = -1
        except ThreadExit as leaving:
            thread.result = leaving.code
            check_thread_exit(k, task)
    thread.done = True
    _tell(k, thread)
    return thread.result


def _tell(k: Kernel, thread: Thread) -> None:
    for waiter in thread.waiters:
        k.sched.wake(waiter)


def _await(k: Kernel, thread: Thread, wait: Wait) -> None:
    """Sleep until something was told of ``thread``."""
    thread.waiters.append(k.current)
    k.current.state = TASK_UNINTERRUPTIBLE
    k.sched.schedule(wait)
    thread.waiters.remove(k.current)


class ThreadExit(Exception):
    """``kthread_exit()`` on its way out of the thread's function."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def wake_new(k: Kernel, task: Task) -> Task:
    """``kthread_run()`` after the creation."""
    k.sched.wake(task)
    return task


def stop(k: Kernel, task: Task) -> int:
    """``kthread_stop()``: ask the thread to end, wait for it; what it returned, -EINTR if it never ran."""
    k.atomic_sleep.might_sleep("kernel/kthread.c:708")
    thread: Thread = task.thread
    thread.should_stop = True
    thread.should_park = False
    k.sched.wake(task, TASK_NORMAL)
    while not thread.done:
        _await(k, thread, Wait(f"for thread {task!r} to stop", kind="kthread-never-stops"))
    return thread.result


def should_stop(k: Kernel) -> bool:
    """``kthread_should_stop()``."""
    thread: Thread | None = k.current.thread
    return thread is not None and thread.should_stop


def park(k: Kernel, task: Task) -> int:
    """``kthread_park()``: ask the thread to park, wait until it does; -errno if it has ended or was asked before."""
    thread: Thread = task.thread
    if thread.done:
        return -_ENOSYS
    if thread.should_park:
        return -_EBUSY
    thread.should_park = True
    if task is not k.current:
        k.sched.wake(task)
        while not thread.parked:
            _await(k, thread, Wait(f"for thread {task!r} to park", kind="kthread-never-stops"))
    return 0


def parkme(k: Kernel) -> None:
    """``kthread_parkme()``: sleep until unparked."""
    task = k.current
    thread: Thread = task.thread
    while thread.should_park:
        thread.parked = True
        _tell(k, thread)
        task.state = TASK_UNINTERRUPTIBLE
        k.sched.schedule(Wait("to be unparked"))
    thread.parked = False
    task.state = TASK_RUNNING


def unpark(k: Kernel, task: Task) -> None:
    """``kthread_unpark()``."""
    task.thread.should_park = False
    k.sched.wake(task)
