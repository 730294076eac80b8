"""Work for hard interrupt context (``kernel/irq_work.c``), which even an NMI may queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.current import current
from kmock.hw.cpu import PREEMPT_OFFSET
from kmock.kernel.held import PerKernel
from kmock.kernel.time import next_tick
from kmock.sanitizers import debug_objects
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack


class IrqWorkState:
    """An irq_work in one kernel."""

    __slots__ = ("func", "pending", "queued_at", "running")

    def __init__(self, func: Any) -> None:
        self.func = func
        self.pending = False
        self.running = False
        self.queued_at: Stack = ()


class irq_work(PerKernel[IrqWorkState]):
    """``struct irq_work``."""

    __slots__ = ("_func", "lazy")
    C_SIZE: ClassVar[int] = 24

    def __init__(self, func: Any = None, *, lazy: bool = False) -> None:
        super().__init__()
        self._func = func
        self.lazy = lazy
        """Whether it waits for the next tick."""

    def fresh(self) -> IrqWorkState:
        """Not queued."""
        return IrqWorkState(self._func)

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that it lies in is being freed."""
        state = self.of(k)
        if state.pending:
            function, at = state.func, state.queued_at
            debug_objects.freed_active(k, allocation, "free-active-object", "irq_work", function, self, at)
            state.pending = False

    @property
    def func(self) -> Any:
        """What is called."""
        return self.of(current.get()).func

    @func.setter
    def func(self, func: Any) -> None:
        self.of(current.get()).func = func


class IrqWorks:
    """The irq_works of one machine."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def queue(self, work: irq_work, cpu: int | None = None) -> bool:
        """``irq_work_queue()``: run it as soon as interrupts are on; False if it is pending already."""
        k = self.kernel
        state = work.of(k)
        if state.pending:
            return False
        state.pending, state.queued_at = True, capture(3)
        number = k.cpu.id if cpu is None else cpu

        def interrupt() -> None:
            k.irqs.raise_local(number, lambda: self._run(work, state))

        if work.lazy:
            k.sched.timeouts.arm(next_tick(k.clock.now, 1, k.clock.hz), interrupt)
        elif cpu is None:
            # The interrupt comes while irq_work_queue() has preemption off.
            here = k.cpu
            here.preempt_count += PREEMPT_OFFSET
            try:
                interrupt()
            finally:
                here.preempt_count -= PREEMPT_OFFSET
        else:
            interrupt()
        return True

    def _run(self, work: irq_work, state: IrqWorkState) -> None:
        if not state.pending:
            return
        state.pending, state.running = False, True
        try:
            state.func(work)
        finally:
            state.running = False
        if not self.kernel.cpu.irqs_off and not work.lazy:
            # The list of the lazy ones is next (irq_work_run_list()).
            self.kernel.bug("irq-handler-enables-irqs", "kernel/irq_work.c:235", stacks=self._blame(state))

    def _blame(self, state: IrqWorkState) -> dict[str, Stack]:
        return {"access": self.kernel.irqs.enabled_at or state.queued_at, "queued": state.queued_at}

    def sync(self, work: irq_work) -> None:
        """``irq_work_sync()``: wait until it has run."""
        k = self.kernel
        k.atomic_sleep.might_sleep("kernel/irq_work.c:279")
        while work.of(k).pending:
            k.sched.give_way()
