"""Tasklets (``kernel/softirq.c``): small functions that run as softirqs, each on one processor at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.current import current
from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK
from kmock.kernel import callbacks
from kmock.kernel.balance import call_atomic
from kmock.kernel.hang import deadlock, hang_report
from kmock.kernel.held import PerKernel
from kmock.kernel.softirq import HI_SOFTIRQ, TASKLET_SOFTIRQ
from kmock.sanitizers import debug_objects
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

TASKLET_STATE_SCHED = 0
TASKLET_STATE_RUN = 1
_INTERRUPT = NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK


class TaskletState:
    """A tasklet in one kernel."""

    __slots__ = ("callback", "count", "cpu", "data", "gets_data", "nr", "running", "scheduled", "scheduled_at")

    def __init__(self, callback: Any = None, count: int = 0) -> None:
        self.callback = callback
        self.data: Any = 0
        self.gets_data = False
        """Whether the function is called with ``data``, as up to 5.8, and not with the tasklet."""
        self.count = count
        """How often it is disabled."""
        self.scheduled = False
        self.running = False
        self.cpu = 0
        self.nr = TASKLET_SOFTIRQ
        self.scheduled_at: Stack = ()


class tasklet_struct(PerKernel[TaskletState]):
    """``struct tasklet_struct``; ``tasklet_setup()`` makes it usable, ``DECLARE_TASKLET()`` makes a usable one."""

    __slots__ = ("_made",)
    C_SIZE: ClassVar[int] = 40

    def __init__(self, callback: Any = None, count: int = 0, *, data: Any = 0, gets_data: bool = False) -> None:
        super().__init__()
        self._made = callback, count, data, gets_data

    def fresh(self) -> TaskletState:
        """As its definition has it."""
        callback, count, data, gets_data = self._made
        state = TaskletState(callback, count)
        state.data, state.gets_data = data, gets_data
        return state

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that the tasklet lies in is being freed."""
        k.tasklets.memory_freed(self)

    @property
    def data(self) -> Any:
        """The argument of an old function."""
        return self.of(current.get()).data

    @property
    def state(self) -> int:
        """Bits TASKLET_STATE_SCHED and TASKLET_STATE_RUN."""
        mine = self.of(current.get())
        return mine.scheduled << TASKLET_STATE_SCHED | mine.running << TASKLET_STATE_RUN


class Tasklets:
    """The tasklets of one machine."""

    __slots__ = ("_lists", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._lists: dict[tuple[int, int], list[tasklet_struct]] = {}
        """What is scheduled, by processor and softirq."""
        kernel.softirqs.open(HI_SOFTIRQ, lambda: self._run(HI_SOFTIRQ))
        kernel.softirqs.open(TASKLET_SOFTIRQ, lambda: self._run(TASKLET_SOFTIRQ))

    def setup(self, tasklet: tasklet_struct, callback: Any, *, data: Any = 0, gets_data: bool = False) -> None:
        """``tasklet_setup()``, and the older ``tasklet_init()`` whose function gets ``data``."""
        state = tasklet.of(self.kernel)
        self._unschedule(tasklet, state)
        state.callback, state.data, state.gets_data, state.count = callback, data, gets_data, 0

    def schedule(self, tasklet: tasklet_struct, nr: int = TASKLET_SOFTIRQ) -> None:
        """``tasklet_schedule()``: nothing if it is scheduled already."""
        k = self.kernel
        state = tasklet.of(k)
        if state.scheduled:
            return
        state.scheduled, state.cpu, state.nr, state.scheduled_at = True, k.cpu.id, nr, capture(3)
        self._lists.setdefault((k.cpu.id, nr), []).append(tasklet)
        k.softirqs.raise_softirq(nr)

    def _run(self, nr: int) -> None:
        """``tasklet_action_common()``: those that are disabled, or run elsewhere, wait for the next time."""
        k = self.kernel
        key = k.cpu.id, nr
        for tasklet in self._lists.pop(key, []):
            state = tasklet.of(k)
            if state.count == 0 and not state.running:
                self._call(tasklet, state)
            elif state.scheduled:
                self._lists.setdefault(key, []).append(tasklet)
                if state.count == 0:
                    k.cpu.softirq_pending |= 1 << nr

    def _call(self, tasklet: tasklet_struct, state: TaskletState) -> None:
        k = self.kernel

        def complaint(before: int, after: int) -> tuple[str, list[str]]:
            headline = (
                f"softirq: huh, entered softirq {TASKLET_SOFTIRQ} TASKLET {k.layout.image:016x} "
                f"with preempt_count {before:08x}, exited with {after:08x}?"
            )
            return headline, []

        state.scheduled, state.running = False, True
        try:
            with callbacks.Running(k, "tasklet_action_common", callbacks.tasklet_map(k, state.callback)):
                call_atomic(k, state.callback, state.data if state.gets_data else tasklet, complaint)
        finally:
            state.running = False

    def disable(self, tasklet: tasklet_struct) -> None:
        """``tasklet_disable_nosync()``; calls nest."""
        tasklet.of(self.kernel).count += 1

    def enable(self, tasklet: tasklet_struct) -> None:
        """``tasklet_enable()``: what was scheduled meanwhile runs."""
        state = tasklet.of(self.kernel)
        state.count -= 1
        if state.count or not state.scheduled:
            return
        # The kernel's softirq stays raised all the time, which would keep ksoftirqd busy.
        with self.kernel.softirqs.interrupted(state.cpu):
            self.kernel.softirqs.raise_softirq(state.nr)

    def kill(self, tasklet: tasklet_struct) -> None:
        """``tasklet_kill()``: wait until it has run; it must not be scheduled again."""
        k = self.kernel
        state = tasklet.of(k)
        if k.cpu.preempt_count & _INTERRUPT:
            k.atomic_sleep.asked += 1  # said here in the kernel's own words
            headline = "softirq: Attempt to kill tasklet from interrupt"
            k.report("tasklet-kill-irq", headline, key=("tasklet-kill", tasklet))
            self._unschedule(tasklet, state)
            return
        if state.running or (state.scheduled and state.count):
            raise deadlock(k, hang_report(k, [k.current], "hang"))
        k.lockdep.enter(callbacks.tasklet_map(k, state.callback))
        while state.scheduled:
            k.sched.give_way()

    def _unschedule(self, tasklet: tasklet_struct, state: TaskletState) -> None:
        if state.scheduled:
            state.scheduled = False
            if tasklet in (waiting := self._lists.get((state.cpu, state.nr), [])):
                waiting.remove(tasklet)

    def memory_freed(self, tasklet: tasklet_struct) -> None:
        """The memory that ``tasklet`` lies in is freed: it must not be scheduled."""
        k = self.kernel
        state = tasklet.of(k)
        if not state.scheduled:
            return
        stack = k.capture()
        k.report(
            "tasklet-freed-scheduled",
            f"BUG: kmock: tasklet-freed-scheduled in {k.symbol(stack)}",
            lines=[f"tasklet {debug_objects.name(state.callback)}() is scheduled and will run on freed memory"],
            stacks={"access": stack, "armed": state.scheduled_at},
            key=(tasklet, "freed"),
        )
        self._unschedule(tasklet, state)

    def registrations(self) -> Iterator[Registration]:
        """The tasklets that are scheduled."""
        for tasklets in self._lists.values():
            for tasklet in tasklets:
                state = tasklet.of(self.kernel)
                what = f"tasklet {debug_objects.name(state.callback)}()"
                yield Registration(what, state.scheduled_at, "tasklet_kill", "tasklet-freed-scheduled")
