"""Tasks that a test starts to have something happen at the same time, and the wait for their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.errors import KernelOops
from kmock.kernel.balance import check_thread_exit
from kmock.kernel.hang import deadlock, hang_report
from kmock.kernel.kthread import TASK_COMM_LEN
from kmock.kernel.sched import HUNG_NSECS
from kmock.kernel.task import TASK_DEAD, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kmock.machine import Kernel


def spawn(k: Kernel, body: Callable[..., object], args: tuple[Any, ...], cpu: int | None, name: str) -> Task:
    """Start a task that calls ``body(*args)``."""
    name = name or getattr(body, "__name__", "task")
    task = Task(k.new_pid(), name.strip("<>")[: TASK_COMM_LEN - 1])
    if cpu is not None:
        task.cpu = k.cpus[cpu]
    k.sched.spawned.append(task)
    k.sched.add(task, lambda: _main(k, task, body, args))
    k.sched.wake(task)
    return task


def _main(k: Kernel, task: Task, body: Callable[..., object], args: tuple[Any, ...]) -> int:
    try:
        body(*args)
        check_thread_exit(k, task)
    except KernelOops:
        # The kernel would have killed just this task; the report is made.
        return -1
    return 0


def join(k: Kernel, tasks: Sequence[Task]) -> None:
    """Run until ``tasks`` have ended, or all that were spawned; Deadlock if one of them never will."""
    sched = k.sched
    while _alive(tasks or sched.spawned):
        sched.drain()
        alive = _alive(tasks or sched.spawned)
        in_vain = all(_waits_in_vain(k, task) for task in alive)
        if alive and (in_vain or not sched.timeouts.fire(k.clock.now + HUNG_NSECS)):
            raise deadlock(k, hang_report(k, alive))


def _alive(tasks: Sequence[Task]) -> list[Task]:
    return [task for task in tasks if task.state != TASK_DEAD]


def _waits_in_vain(k: Kernel, task: Task) -> bool:
    """Whether ``task`` has waited for minutes, and no timeout will end that."""
    return task.wait is not None and task.wait.alarm is None and k.clock.now - task.blocked_since > HUNG_NSECS
