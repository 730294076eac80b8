"""Work items and what holds them (``include/linux/workqueue.h``, ``kernel/workqueue_internal.h``)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from kmock.current import current
from kmock.kernel.callbacks import CANCEL
from kmock.kernel.held import PerKernel, lockdep_map
from kmock.kernel.timer import timer_list
from kmock.lang.struct import as_ptr
from kmock.sanitizers import debug_objects

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

WQ_UNBOUND = 1 << 1
WQ_FREEZABLE = 1 << 2
WQ_MEM_RECLAIM = 1 << 3
WQ_HIGHPRI = 1 << 4
WQ_CPU_INTENSIVE = 1 << 5
WQ_SYSFS = 1 << 6
WQ_POWER_EFFICIENT = 1 << 7
WQ_LEGACY = 1 << 18
WQ_ORDERED = 1 << 17
WQ_MAX_ACTIVE = 512
WQ_DFL_ACTIVE = 256
WORK_CPU_UNBOUND = 8192
SIZEOF_WORKQUEUE = 320
UNBOUND = -1
"""The processor of what runs anywhere."""


class WorkState:
    """A work item in one kernel."""

    __slots__ = ("again", "cancelled", "data", "done", "func", "gets_data", "pwq", "queued", "queued_at", "worker")

    def __init__(self, func: Any = None, *, data: Any = None, gets_data: bool = False) -> None:
        self.func = func
        self.data = data
        self.gets_data = gets_data
        """Whether the function is called with ``data``, as up to 2.6.19, and not with the item."""
        self.pwq: Pwq | None = None
        """Where it is pending."""
        self.again = False
        """Whether it is pending, but waits for its own end."""
        self.worker: Worker | None = None
        """Who runs it."""
        self.queued = 0
        self.done = 0
        """How often it was queued, and which of these times are over."""
        self.cancelled = False
        self.queued_at: Stack = ()


class work_struct(PerKernel[WorkState]):
    """``struct work_struct``; ``INIT_WORK()`` makes it usable, ``DECLARE_WORK()`` makes a usable one."""

    __slots__ = ("_made", "delayed")
    C_SIZE: ClassVar[int] = 32

    def __init__(self, func: Any = None, *, data: Any = None, gets_data: bool = False) -> None:
        super().__init__()
        self._made = func, data, gets_data
        self.delayed: delayed_work | None = None
        """The delayed work that it is part of."""

    def fresh(self) -> WorkState:
        """As its definition has it."""
        func, data, gets_data = self._made
        return WorkState(func, data=data, gets_data=gets_data)

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that the item lies in is being freed."""
        k.workqueues.memory_freed(self, allocation)

    @property
    def func(self) -> Any:
        """What is called."""
        return self.of(current.get()).func

    @func.setter
    def func(self, func: Any) -> None:
        self.of(current.get()).func = func

    @property
    def _address(self) -> Ptr | None:
        """Where it lies: at the beginning of its delayed work."""
        return as_ptr(self.delayed) if self.delayed is not None and _lies_somewhere(self.delayed) else None


def _lies_somewhere(delayed: delayed_work) -> bool:
    return current.get().mem.embedded.address(delayed) is not None


class delayed_work:
    """``struct delayed_work``: a work item, and a timer that queues it."""

    __slots__ = ("__weakref__", "cpu", "timer", "work", "wq")
    C_SIZE: ClassVar[int] = 88
    C_MEMBERS: ClassVar[dict[str, tuple[int, Any]]] = {"work": (0, work_struct), "timer": (32, timer_list)}

    def __init__(self, func: Any = None) -> None:
        self.work = work_struct(func)
        self.work.delayed = self
        self.timer = timer_list(self._due)
        self.wq: workqueue_struct | None = None
        self.cpu: int | None = None

    def _due(self, timer: timer_list) -> None:
        """``delayed_work_timer_fn()``."""
        k = current.get()
        assert self.wq is not None
        k.workqueues.insert(self.wq, self.work, self.cpu)

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that it lies in is being freed."""
        state, timer = self.work.of(k), self.timer.of(k)
        if timer.timeout is not None:
            kind = "work-requeue-after-cancel" if state.cancelled else "free-active-object"
            debug_objects.freed_active(k, allocation, kind, "timer_list", state.func, self, timer.armed_at)
            k.timers.delete(self.timer)
        self.work.memory_freed(k, allocation)


class Worker:
    """``struct worker``: a task that runs one item."""

    __slots__ = ("id", "pwq", "task", "work")

    def __init__(self, task: Task, pool: tuple[int, bool], id: int) -> None:
        self.task = task
        self.id = (pool, id)
        self.work: work_struct | None = None
        self.pwq: Pwq | None = None


class Pwq:
    """``struct pool_workqueue``: a workqueue's items for one processor, or for all if it is unbound."""

    __slots__ = ("active", "cpu", "inactive", "wq")

    def __init__(self, wq: workqueue_struct, cpu: int) -> None:
        self.wq = wq
        self.cpu = cpu
        self.active = 0
        """Items that were given to the pool and are not over."""
        self.inactive: deque[work_struct] = deque()
        """Items that wait until fewer than ``max_active`` are active."""

    @property
    def pool(self) -> tuple[int, bool]:
        """The worker pool: processor and priority."""
        return self.cpu, bool(self.wq.flags & WQ_HIGHPRI)


class WqState:
    """A workqueue in one kernel."""

    __slots__ = ("created_at", "delayed", "destroyed", "in_flight", "map", "pwqs")

    def __init__(self, name: str) -> None:
        self.map = lockdep_map(f"(wq_completion){name}", kind=CANCEL)
        self.pwqs: dict[int, Pwq] = {}
        self.in_flight: dict[work_struct, None] = {}
        """Items that are pending or run."""
        self.delayed: dict[delayed_work, None] = {}
        """Items whose timer was armed."""
        self.destroyed = False
        self.created_at: Stack = ()


class workqueue_struct(PerKernel[WqState]):
    """``struct workqueue_struct``."""

    __slots__ = ("flags", "max_active", "name")

    def __init__(self, name: str, flags: int = 0, max_active: int = 0) -> None:
        super().__init__()
        self.name = name
        self.flags = flags
        self.max_active = min(max_active or WQ_DFL_ACTIVE, WQ_MAX_ACTIVE)

    def fresh(self) -> WqState:
        """Nothing queued."""
        return WqState(self.name)

    def __repr__(self) -> str:
        return f"<workqueue {self.name}>"


system_wq = workqueue_struct("events")
system_highpri_wq = workqueue_struct("events_highpri", WQ_HIGHPRI)
system_long_wq = workqueue_struct("events_long")
system_unbound_wq = workqueue_struct("events_unbound", WQ_UNBOUND, WQ_MAX_ACTIVE)
system_freezable_wq = workqueue_struct("events_freezable", WQ_FREEZABLE)
system_power_efficient_wq = workqueue_struct("events_power_efficient", WQ_POWER_EFFICIENT)
