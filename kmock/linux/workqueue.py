"""``<linux/workqueue.h>``: functions that run in process context, later, as ``func(work)``.

``INIT_WORK`` and ``DECLARE_WORK`` also take 2.6's third argument, with which the function is called then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import rcu_work as _rcu_work
from kmock.kernel.rcu_work import rcu_work
from kmock.kernel.work import (
    SIZEOF_WORKQUEUE,
    WORK_CPU_UNBOUND,
    WQ_CPU_INTENSIVE,
    WQ_DFL_ACTIVE,
    WQ_FREEZABLE,
    WQ_HIGHPRI,
    WQ_LEGACY,
    WQ_MAX_ACTIVE,
    WQ_MEM_RECLAIM,
    WQ_ORDERED,
    WQ_POWER_EFFICIENT,
    WQ_SYSFS,
    WQ_UNBOUND,
    delayed_work,
    system_freezable_wq,
    system_highpri_wq,
    system_long_wq,
    system_power_efficient_wq,
    system_unbound_wq,
    system_wq,
    work_struct,
    workqueue_struct,
)
from kmock.lang.ptr import NULL
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.container_of import container_of
from kmock.linux.timer import timer_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel

WORK_BUSY_PENDING = 1
WORK_BUSY_RUNNING = 2
_NO_DATA = object()


def DECLARE_WORK(name: str, func: Callable[[Any], object], data: Any = _NO_DATA) -> work_struct:
    """Define a work item that calls ``func(work)``, or up to 2.6.19 ``func(data)``."""
    return work_struct(func) if data is _NO_DATA else work_struct(func, data=data, gets_data=True)


def DECLARE_DELAYED_WORK(name: str, func: Callable[[work_struct], object]) -> delayed_work:
    """Define a delayed work item that calls ``func(work)``."""
    return delayed_work(func)


def to_delayed_work(work: work_struct) -> delayed_work:
    """Return the delayed work that an item is part of."""
    assert work.delayed is not None, f"{work!r} is no part of a delayed_work"
    return work.delayed


# -- initialising ---------------------------------------------------------------------------------------


@api(since="2.5.41")
def INIT_WORK(k: Kernel, work: work_struct, func: Callable[[Any], object], data: Any = _NO_DATA) -> None:
    """Initialise an item that will call ``func(work)``, or up to 2.6.19 ``func(data)``."""
    if data is _NO_DATA:
        k.workqueues.init(work, func)
    else:
        k.workqueues.init(work, func, data=data, gets_data=True)


@api(since="2.6.23")
def INIT_WORK_ONSTACK(k: Kernel, work: work_struct, func: Callable[[work_struct], object]) -> None:
    """``INIT_WORK()`` for an item on the stack."""
    k.workqueues.init(work, func)


@api(since="2.6.35")
def destroy_work_on_stack(k: Kernel, work: work_struct) -> None:
    """An item on the stack goes."""
    k.workqueues.memory_freed(work, None)


@api(since="2.6.20")
def INIT_DELAYED_WORK(k: Kernel, work: delayed_work, func: Callable[[work_struct], object]) -> None:
    """Initialise a delayed item that will call ``func(work)`` with its ``work`` member."""
    k.workqueues.init_delayed(work, func)


@api(since="2.6.28")
def INIT_DEFERRABLE_WORK(k: Kernel, work: delayed_work, func: Callable[[work_struct], object]) -> None:
    """``INIT_DELAYED_WORK()`` with a timer that wakes no idle processor."""
    k.workqueues.init_delayed(work, func)


# -- queueing -------------------------------------------------------------------------------------------


@api(since="2.5.41")
def queue_work(k: Kernel, wq: workqueue_struct, work: work_struct) -> bool:
    """Queue an item; False if it is pending already."""
    return k.workqueues.queue(wq, work)


@api(since="2.6.27")
def queue_work_on(k: Kernel, cpu: int, wq: workqueue_struct, work: work_struct) -> bool:
    """``queue_work()`` for processor ``cpu``."""
    return k.workqueues.queue(wq, work, _cpu(cpu))


@api(since="2.5.41")
def schedule_work(k: Kernel, work: work_struct) -> bool:
    """Queue an item on ``system_wq``; False if it is pending already."""
    return k.workqueues.queue(system_wq, work)


@api(since="2.6.27")
def schedule_work_on(k: Kernel, cpu: int, work: work_struct) -> bool:
    """``schedule_work()`` for processor ``cpu``."""
    return k.workqueues.queue(system_wq, work, _cpu(cpu))


@api(since="2.5.41")
def queue_delayed_work(k: Kernel, wq: workqueue_struct, dwork: delayed_work, delay: int) -> bool:
    """Queue an item in ``delay`` jiffies; False if it is pending already."""
    return k.workqueues.queue_delayed(wq, dwork, delay)


@api(since="2.6.20")
def queue_delayed_work_on(k: Kernel, cpu: int, wq: workqueue_struct, dwork: delayed_work, delay: int) -> bool:
    """``queue_delayed_work()`` for processor ``cpu``."""
    return k.workqueues.queue_delayed(wq, dwork, delay, _cpu(cpu))


@api(since="2.5.41")
def schedule_delayed_work(k: Kernel, dwork: delayed_work, delay: int) -> bool:
    """Queue an item on ``system_wq`` in ``delay`` jiffies; False if it is pending already."""
    return k.workqueues.queue_delayed(system_wq, dwork, delay)


@api(since="2.6.12")
def schedule_delayed_work_on(k: Kernel, cpu: int, dwork: delayed_work, delay: int) -> bool:
    """``schedule_delayed_work()`` for processor ``cpu``."""
    return k.workqueues.queue_delayed(system_wq, dwork, delay, _cpu(cpu))


@api(since="3.7")
def mod_delayed_work(k: Kernel, wq: workqueue_struct, dwork: delayed_work, delay: int) -> bool:
    """Queue an item in ``delay`` jiffies, or change its delay: whether it was pending."""
    return k.workqueues.queue_delayed(wq, dwork, delay, modify=True)


@api(since="3.7")
def mod_delayed_work_on(k: Kernel, cpu: int, wq: workqueue_struct, dwork: delayed_work, delay: int) -> bool:
    """``mod_delayed_work()`` for processor ``cpu``."""
    return k.workqueues.queue_delayed(wq, dwork, delay, _cpu(cpu), modify=True)


def _cpu(cpu: int) -> int | None:
    return None if cpu == WORK_CPU_UNBOUND else cpu


# -- waiting and cancelling -----------------------------------------------------------------------------


@api(since="2.6.36", sleeps=Sleeps.ALWAYS)
def flush_work(k: Kernel, work: work_struct) -> bool:
    """Wait until what is queued of an item is over; False if it was idle."""
    return k.workqueues.flush(work)


@api(since="2.6.36", sleeps=Sleeps.ALWAYS)
def flush_delayed_work(k: Kernel, dwork: delayed_work) -> bool:
    """Have an item run without more delay and wait for it; False if it was idle."""
    return k.workqueues.flush_delayed(dwork)


@api(since="2.5.41", sleeps=Sleeps.ALWAYS)
def flush_workqueue(k: Kernel, wq: workqueue_struct) -> None:
    """Wait for all that is queued now."""
    k.workqueues.flush_workqueue(wq)


@api(since="2.5.41", sleeps=Sleeps.ALWAYS)
def flush_scheduled_work(k: Kernel) -> None:
    """``flush_workqueue(system_wq)``."""
    k.workqueues.flush_workqueue(system_wq)


@api(since="3.1", sleeps=Sleeps.ALWAYS)
def drain_workqueue(k: Kernel, wq: workqueue_struct) -> None:
    """Wait until nothing is queued any more."""
    k.workqueues.drain(wq)


@api(since="4.16")
def cancel_work(k: Kernel, work: work_struct) -> bool:
    """Take an item back: whether it was pending. It may still run."""
    return k.workqueues.cancel(work, sync=False)


@api(since="2.6.22", sleeps=Sleeps.ALWAYS)
def cancel_work_sync(k: Kernel, work: work_struct) -> bool:
    """Take an item back and wait for its end: whether it was pending."""
    return k.workqueues.cancel(work, sync=True)


@api(since="2.5.41")
def cancel_delayed_work(k: Kernel, dwork: delayed_work) -> bool:
    """Take a delayed item back: whether it was pending. It may still run."""
    return k.workqueues.cancel(dwork.work, sync=False)


@api(since="2.6.23", sleeps=Sleeps.ALWAYS)
def cancel_delayed_work_sync(k: Kernel, dwork: delayed_work) -> bool:
    """Take a delayed item back and wait for its end: whether it was pending."""
    return k.workqueues.cancel(dwork.work, sync=True)


@api(since="2.5.41")
def work_pending(k: Kernel, work: work_struct) -> bool:
    """Whether an item is queued and has not begun."""
    return k.workqueues.pending(work)


@api(since="2.6.20")
def delayed_work_pending(k: Kernel, w: delayed_work) -> bool:
    """Whether a delayed item waits for its time, or is queued."""
    return k.workqueues.pending(w.work)


@api(since="2.6.36")
def work_busy(k: Kernel, work: work_struct) -> int:
    """WORK_BUSY_PENDING and WORK_BUSY_RUNNING, as far as they apply."""
    running = work.of(k).worker is not None
    return WORK_BUSY_PENDING * k.workqueues.pending(work) | WORK_BUSY_RUNNING * running


@api(since="4.17")
def current_work(k: Kernel) -> work_struct | None:
    """Return the item that the current task runs; NULL, which is None here, if it is no worker."""
    worker = k.workqueues.workers.get(k.current)
    return worker.work if worker is not None else None


# -- workqueues -----------------------------------------------------------------------------------------


def _create(k: Kernel, name: str, flags: int, max_active: int) -> workqueue_struct:
    k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274")
    if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_WORKQUEUE):
        return NULL  # type: ignore[return-value]  # C's NULL
    return k.workqueues.create(name, flags, max_active)


@api(since="2.6.36", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="destroy_workqueue", fails=True)
def alloc_workqueue(k: Kernel, fmt: str, flags: int, max_active: int, *args: Any) -> workqueue_struct:
    """Make a workqueue that runs up to ``max_active`` items of a processor at a time; NULL if there is no memory."""
    return _create(k, fmt % args if args else fmt, flags, max_active)


@api(since="2.6.37", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="destroy_workqueue", fails=True)
def alloc_ordered_workqueue(k: Kernel, fmt: str, flags: int, *args: Any) -> workqueue_struct:
    """Make a workqueue that runs one item after the other; NULL if there is no memory."""
    return _create(k, fmt % args if args else fmt, flags | WQ_UNBOUND | WQ_ORDERED, 1)


@api(since="2.5.41", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="destroy_workqueue", fails=True)
def create_workqueue(k: Kernel, name: str) -> workqueue_struct:
    """Make a workqueue with one item of a processor at a time, as old drivers want; NULL if there is no memory."""
    return _create(k, name, WQ_LEGACY | WQ_MEM_RECLAIM, 1)


@api(since="2.6.6", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="destroy_workqueue", fails=True)
def create_singlethread_workqueue(k: Kernel, name: str) -> workqueue_struct:
    """Make a workqueue that runs one item after the other; NULL if there is no memory."""
    return _create(k, name, WQ_LEGACY | WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_ORDERED, 1)


@api(since="2.6.38", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, undo="destroy_workqueue", fails=True)
def create_freezable_workqueue(k: Kernel, name: str) -> workqueue_struct:
    """``create_workqueue()`` that stops for suspend; NULL if there is no memory."""
    return _create(k, name, WQ_LEGACY | WQ_FREEZABLE | WQ_UNBOUND | WQ_MEM_RECLAIM, 1)


@api(since="2.5.41", sleeps=Sleeps.ALWAYS)
def destroy_workqueue(k: Kernel, wq: workqueue_struct) -> None:
    """Wait for what is queued, and unmake the workqueue."""
    k.workqueues.destroy(wq)


# -- after a grace period -------------------------------------------------------------------------------


def to_rcu_work(work: work_struct) -> Any:
    """Return the rcu_work that an item is part of."""
    return container_of(work, rcu_work, "work")


@api(since="4.16")
def INIT_RCU_WORK(k: Kernel, rwork: rcu_work, func: Callable[[work_struct], object]) -> None:
    """Initialise an item that will call ``func(work)`` after a grace period."""
    k.workqueues.init(rwork.work, func)


@api(since="4.16")
def queue_rcu_work(k: Kernel, wq: workqueue_struct, rwork: rcu_work) -> bool:
    """Queue an item once every RCU reader that there is now is through; False if it is pending already."""
    return _rcu_work.queue(k, wq, rwork)


@api(since="4.16", sleeps=Sleeps.ALWAYS)
def flush_rcu_work(k: Kernel, rwork: rcu_work) -> bool:
    """Wait for the grace period and the item; False if nothing was queued."""
    return _rcu_work.flush(k, rwork)


__getattr__ = header_getattr(__name__, {"workqueue_set_max_active"})
__all__ = [
    "DECLARE_DELAYED_WORK",
    "DECLARE_WORK",
    "INIT_DEFERRABLE_WORK",
    "INIT_DELAYED_WORK",
    "INIT_RCU_WORK",
    "INIT_WORK",
    "INIT_WORK_ONSTACK",
    "WORK_BUSY_PENDING",
    "WORK_BUSY_RUNNING",
    "WORK_CPU_UNBOUND",
    "WQ_CPU_INTENSIVE",
    "WQ_DFL_ACTIVE",
    "WQ_FREEZABLE",
    "WQ_HIGHPRI",
    "WQ_MAX_ACTIVE",
    "WQ_MEM_RECLAIM",
    "WQ_POWER_EFFICIENT",
    "WQ_SYSFS",
    "WQ_UNBOUND",
    "alloc_ordered_workqueue",
    "alloc_workqueue",
    "cancel_delayed_work",
    "cancel_delayed_work_sync",
    "cancel_work",
    "cancel_work_sync",
    "create_freezable_workqueue",
    "create_singlethread_workqueue",
    "create_workqueue",
    "current_work",
    "delayed_work",
    "delayed_work_pending",
    "destroy_work_on_stack",
    "destroy_workqueue",
    "drain_workqueue",
    "flush_delayed_work",
    "flush_rcu_work",
    "flush_scheduled_work",
    "flush_work",
    "flush_workqueue",
    "mod_delayed_work",
    "mod_delayed_work_on",
    "queue_delayed_work",
    "queue_delayed_work_on",
    "queue_rcu_work",
    "queue_work",
    "queue_work_on",
    "rcu_work",
    "schedule_delayed_work",
    "schedule_delayed_work_on",
    "schedule_work",
    "schedule_work_on",
    "system_freezable_wq",
    "system_highpri_wq",
    "system_long_wq",
    "system_power_efficient_wq",
    "system_unbound_wq",
    "system_wq",
    "timer_list",
    "to_delayed_work",
    "to_rcu_work",
    "work_busy",
    "work_pending",
    "work_struct",
    "workqueue_struct",
]
