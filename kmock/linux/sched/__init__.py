"""``<linux/sched.h>``: tasks, and giving the processor away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.current import current as _current
from kmock.errors import NoKernelError
from kmock.kernel import wait as _wait
from kmock.kernel.task import (
    PF_EXITING,
    PF_KTHREAD,
    PF_MEMALLOC,
    PF_MEMALLOC_NOFS,
    PF_MEMALLOC_NOIO,
    PF_MEMALLOC_PIN,
    TASK_IDLE,
    TASK_INTERRUPTIBLE,
    TASK_KILLABLE,
    TASK_NORMAL,
    TASK_RUNNING,
    TASK_UNINTERRUPTIBLE,
    Task,
)
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.preempt import (
    HARDIRQ_MASK,
    HARDIRQ_OFFSET,
    NMI_MASK,
    NMI_OFFSET,
    PREEMPT_MASK,
    PREEMPT_OFFSET,
    SOFTIRQ_DISABLE_OFFSET,
    SOFTIRQ_MASK,
    SOFTIRQ_OFFSET,
    hardirq_count,
    in_atomic,
    in_hardirq,
    in_interrupt,
    in_irq,
    in_nmi,
    in_serving_softirq,
    in_softirq,
    in_task,
    migrate_disable,
    migrate_enable,
    nmi_count,
    preempt_count,
    preempt_disable,
    preempt_enable,
    preempt_enable_no_resched,
    preemptible,
    softirq_count,
)

if TYPE_CHECKING:
    from kmock.machine import Kernel

task_struct = Task
TASK_COMM_LEN = 16
SIGKILL = 9


@api(since="1.0")
def get_current(k: Kernel) -> Task:
    """The running task; C's ``current``."""
    return k.current


class Current:
    """``current``: stands for the running task, whose members it has; called, it is that task itself."""

    __slots__ = ()

    def __call__(self) -> Task:
        return _current.get().current

    def __getattr__(self, name: str) -> Any:
        if _current.kernel is None:
            # Whoever looks at a module's names, as pytest does, asks everything for attributes.
            raise AttributeError(f"current.{name}: {NoKernelError()}")
        return getattr(_current.kernel.current, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_current.get().current, name, value)

    def __eq__(self, other: object) -> bool:
        return self is other or (_current.kernel is not None and _current.kernel.current is task_of(other))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "current" if _current.kernel is None else repr(_current.kernel.current)


current = Current()


def task_of(p: Any) -> Any:
    """Return the task that a ``struct task_struct *`` is, which may be ``current``."""
    return p() if isinstance(p, Current) else p


@api(since="2.4.0")
def set_current_state(k: Kernel, state_value: int) -> None:
    """Say how the task will sleep at its next ``schedule()``."""
    _wait.set_state(k, state_value)


@api(since="2.4.0")
def __set_current_state(k: Kernel, state_value: int) -> None:
    """``set_current_state()`` without a memory barrier."""
    _wait.set_state(k, state_value)


@api(since="5.14")
def get_current_state(k: Kernel) -> int:
    """The running task's state."""
    return k.current.state


@api(since="1.0", sleeps=Sleeps.ALWAYS)
def schedule(k: Kernel) -> None:
    """Give way to other tasks; until woken, if the state says so."""
    k.sched.schedule()


@api(since="2.2", sleeps=Sleeps.ALWAYS)
def schedule_timeout(k: Kernel, timeout: int) -> int:
    """``schedule()`` for at most ``timeout`` jiffies: those left. The state has to be set before."""
    return k.sched.schedule_timeout(timeout)


@api(since="2.6.15", sleeps=Sleeps.ALWAYS)
def schedule_timeout_interruptible(k: Kernel, timeout: int) -> int:
    """Sleep for ``timeout`` jiffies, or until a signal: those left."""
    k.current.state = TASK_INTERRUPTIBLE
    return k.sched.schedule_timeout(timeout)


@api(since="2.6.25", sleeps=Sleeps.ALWAYS)
def schedule_timeout_killable(k: Kernel, timeout: int) -> int:
    """Sleep for ``timeout`` jiffies, or until a deadly signal: those left."""
    k.current.state = TASK_KILLABLE
    return k.sched.schedule_timeout(timeout)


@api(since="2.6.15", sleeps=Sleeps.ALWAYS)
def schedule_timeout_uninterruptible(k: Kernel, timeout: int) -> int:
    """Sleep for ``timeout`` jiffies, deaf to signals: those left."""
    k.current.state = TASK_UNINTERRUPTIBLE
    return k.sched.schedule_timeout(timeout)


@api(since="2.6.31", sleeps=Sleeps.ALWAYS)
def io_schedule(k: Kernel) -> None:
    """``schedule()`` while waiting for a device."""
    k.sched.schedule()


@api(since="1.0")
def wake_up_process(k: Kernel, tsk: Task | Current) -> int:
    """Wake ``tsk`` whatever it waits for: 1 if it slept."""
    return k.sched.wake(task_of(tsk))


@api(since="2.5.0")
def wake_up_state(k: Kernel, tsk: Task | Current, state: int) -> int:
    """Wake ``tsk`` if it sleeps in one of the states of the mask."""
    return k.sched.wake(task_of(tsk), state)


@api(since="2.5.7", sleeps=Sleeps.ALWAYS)
def cond_resched(k: Kernel) -> int:
    """Give way if somebody else wants to run: whether the task did."""
    if k.cpu.preempt_count or k.cpu.irqs_off or k.current.rcu_depth or k.current.non_block:
        k.atomic_sleep.might_sleep(_wait.driver_place(k))
        return 0
    return k.sched.yield_to_others()


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def yield_(k: Kernel) -> None:
    """C's ``yield()``: give way to others."""
    k.sched.schedule()


@api(since="2.2")
def signal_pending(k: Kernel, p: Task | Current) -> int:
    """Whether a signal waits for task ``p``."""
    return int(p.signal != 0)


@api(since="2.6.25")
def fatal_signal_pending(k: Kernel, p: Task | Current) -> int:
    """Whether a deadly signal waits for task ``p``."""
    return int(p.signal == SIGKILL)


@api(since="2.6.24")
def task_pid_nr(k: Kernel, tsk: Task | Current) -> int:
    """The task's process id."""
    return tsk.pid


@api(since="2.6.0")
def need_resched(k: Kernel) -> int:
    """Whether somebody else wants to run."""
    return int(k.sched.somebody_waits)


__getattr__ = header_getattr(__name__)
__all__ = [
    "HARDIRQ_MASK",
    "HARDIRQ_OFFSET",
    "MAX_SCHEDULE_TIMEOUT",
    "NMI_MASK",
    "NMI_OFFSET",
    "PF_EXITING",
    "PF_KTHREAD",
    "PF_MEMALLOC",
    "PF_MEMALLOC_NOFS",
    "PF_MEMALLOC_NOIO",
    "PF_MEMALLOC_PIN",
    "PREEMPT_MASK",
    "PREEMPT_OFFSET",
    "SIGKILL",
    "SOFTIRQ_DISABLE_OFFSET",
    "SOFTIRQ_MASK",
    "SOFTIRQ_OFFSET",
    "TASK_COMM_LEN",
    "TASK_IDLE",
    "TASK_INTERRUPTIBLE",
    "TASK_KILLABLE",
    "TASK_NORMAL",
    "TASK_RUNNING",
    "TASK_UNINTERRUPTIBLE",
    "__set_current_state",
    "cond_resched",
    "current",
    "fatal_signal_pending",
    "get_current",
    "get_current_state",
    "hardirq_count",
    "in_atomic",
    "in_hardirq",
    "in_interrupt",
    "in_irq",
    "in_nmi",
    "in_serving_softirq",
    "in_softirq",
    "in_task",
    "io_schedule",
    "migrate_disable",
    "migrate_enable",
    "need_resched",
    "nmi_count",
    "preempt_count",
    "preempt_disable",
    "preempt_enable",
    "preempt_enable_no_resched",
    "preemptible",
    "schedule",
    "schedule_timeout",
    "schedule_timeout_interruptible",
    "schedule_timeout_killable",
    "schedule_timeout_uninterruptible",
    "set_current_state",
    "signal_pending",
    "softirq_count",
    "task_pid_nr",
    "task_struct",
    "wake_up_process",
    "wake_up_state",
    "yield_",
]
