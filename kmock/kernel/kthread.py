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


class Thread:
    """``struct kthread``."""

    __slots__ = ("data", "done", "function", "made_at", "result", "should_park", "should_stop", "started", "waiters")

    def __init__(self, function: Callable[[Any], int | None], data: Any) -> None:
        self.function = function
        self.data = data
        self.should_stop = False
        self.should_park = False
        self.started = False
        self.done = False
        self.result = 0
        self.made_at: Stack = ()
        """Where a driver made it."""
        self.waiters: list[Task] = []
        """Tasks in ``kthread_stop()``."""


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
    for waiter in thread.waiters:
        k.sched.wake(waiter)
    return thread.result


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
        thread.waiters.append(k.current)
        k.current.state = TASK_UNINTERRUPTIBLE
        k.sched.schedule(Wait(f"for thread {task!r} to stop", kind="kthread-never-stops"))
        thread.waiters.remove(k.current)
    return thread.result


def should_stop(k: Kernel) -> bool:
    """``kthread_should_stop()``."""
    thread: Thread | None = k.current.thread
    return thread is not None and thread.should_stop


def park(k: Kernel, task: Task) -> int:
    """``kthread_park()``: ask the thread to park; it does at its next ``kthread_parkme()``."""
    task.thread.should_park = True
    k.sched.wake(task)
    return 0


def parkme(k: Kernel) -> None:
    """``kthread_parkme()``: sleep until unparked."""
    task = k.current
    while task.thread.should_park:
        task.state = TASK_UNINTERRUPTIBLE
        k.sched.schedule(Wait("to be unparked"))
    task.state = TASK_RUNNING


def unpark(k: Kernel, task: Task) -> None:
    """``kthread_unpark()``."""
    task.thread.should_park = False
    k.sched.wake(task)
