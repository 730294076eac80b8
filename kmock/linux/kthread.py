"""``<linux/kthread.h>``: kernel threads. What has to be stopped is a task; failures are ERR_PTRs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kmock.kernel import kthread
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.err import ERR_PTR, IS_ERR
from kmock.linux.errno import ENOMEM

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.task import Task
    from kmock.machine import Kernel


SIZEOF_KTHREAD_CREATE_INFO = 56


def _name(namefmt: str, args: tuple[Any, ...]) -> str:
    return namefmt % args if args else namefmt


def _create(k: Kernel, threadfn: Callable[[Any], int | None], data: Any, name: str, cpu: int | None = None) -> Any:
    if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_KTHREAD_CREATE_INFO):
        return ERR_PTR(-ENOMEM)
    task = kthread.create(k, threadfn, data, name, cpu)
    task.thread.made_at = k.capture()
    return task


@api(since="2.6.4", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="kthread_stop", fails=True)
def kthread_create(k: Kernel, threadfn: Callable[[Any], int | None], data: Any, namefmt: str, *args: Any) -> Task:
    """Make a thread that will call ``threadfn(data)`` once it is woken; ERR_PTR(-ENOMEM) if it can't be made."""
    return _create(k, threadfn, data, _name(namefmt, args))  # type: ignore[no-any-return]  # or an ERR_PTR


@api(since="2.6.38", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="kthread_stop", fails=True)
def kthread_create_on_node(
    k: Kernel, threadfn: Callable[[Any], int | None], data: Any, node: int, namefmt: str, *args: Any
) -> Task:
    """``kthread_create()`` with the thread's stack on ``node``."""
    return _create(k, threadfn, data, _name(namefmt, args))  # type: ignore[no-any-return]  # or an ERR_PTR


@api(since="3.5", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="kthread_stop", fails=True)
def kthread_create_on_cpu(k: Kernel, threadfn: Callable[[Any], int | None], data: Any, cpu: int, namefmt: str) -> Task:
    """``kthread_create()`` for a thread that runs on ``cpu`` only."""
    return _create(k, threadfn, data, namefmt.replace("%u", str(cpu)), cpu)  # type: ignore[no-any-return]  # likewise


@api(since="2.6.4", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="kthread_stop", fails=True)
def kthread_run(k: Kernel, threadfn: Callable[[Any], int | None], data: Any, namefmt: str, *args: Any) -> Task:
    """Make a thread and let it run; ERR_PTR(-ENOMEM) if it can't be made."""
    task: Task = _create(k, threadfn, data, _name(namefmt, args))
    return task if IS_ERR(task) else kthread.wake_new(k, task)


@api(since="2.6.4")
def kthread_bind(k: Kernel, p: Task, cpu: int) -> None:
    """Have a thread that was not woken yet run on ``cpu`` only."""
    p.cpu = k.cpus[cpu]


@api(since="2.6.4", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def kthread_stop(k: Kernel, task: Task) -> int:
    """Ask a thread to end and wait until it did: what it returned, -EINTR if it never ran."""
    return kthread.stop(k, task)


@api(since="2.6.4")
def kthread_should_stop(k: Kernel) -> bool:
    """Whether somebody wants the running thread to end."""
    return kthread.should_stop(k)


@api(since="3.7", sleeps=Sleeps.ALWAYS, undo="kthread_unpark")
def kthread_park(k: Kernel, task: Task) -> int:
    """Ask a thread to park and wait until it does: 0; -EBUSY if it was asked before, -ENOSYS if it has ended."""
    return kthread.park(k, task)


@api(since="3.7")
def kthread_should_park(k: Kernel) -> bool:
    """Whether somebody wants the running thread to park."""
    thread = k.current.thread
    return thread is not None and thread.should_park


@api(since="3.7", sleeps=Sleeps.ALWAYS)
def kthread_parkme(k: Kernel) -> None:
    """Sleep until unparked, if somebody asked the running thread to park."""
    kthread.parkme(k)


@api(since="3.7")
def kthread_unpark(k: Kernel, task: Task) -> None:
    """Let a parked thread go on."""
    kthread.unpark(k, task)


@api(since="5.17")
def kthread_exit(k: Kernel, result: int) -> NoReturn:
    """End the running thread with ``result``."""
    raise kthread.ThreadExit(result)


__getattr__ = header_getattr(__name__, {"kthread_init_worker", "kthread_queue_work", "kthread_create_worker"})
__all__ = [
    "kthread_bind",
    "kthread_create",
    "kthread_create_on_cpu",
    "kthread_create_on_node",
    "kthread_exit",
    "kthread_park",
    "kthread_parkme",
    "kthread_run",
    "kthread_should_park",
    "kthread_should_stop",
    "kthread_stop",
    "kthread_unpark",
]
