"""Interrupts, and the work they leave, on processors that go on by themselves.

An interrupt that another processor is to handle finds that processor in the middle of something; its handler may
be stopped there while others run. So whoever waits for a handler or a callback really waits here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.explore.calls import READERS, UPDATES
from kmock.kernel.hrtimer import HrTimers
from kmock.kernel.irq import Irqs
from kmock.kernel.irq_work import IrqWorks
from kmock.kernel.rcu import Rcu
from kmock.kernel.tasklet import Tasklets
from kmock.kernel.timer import Timers
from kmock.kernel.workqueue import Workqueues

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.explore.flow import Flow
    from kmock.explore.machine import ExploredKernel
    from kmock.hw.cpu import Cpu
    from kmock.kernel.hrtimer import HrTimerState, hrtimer
    from kmock.kernel.irq import Action, Line
    from kmock.kernel.irq_work import IrqWorkState, irq_work
    from kmock.kernel.tasklet import TaskletState, tasklet_struct
    from kmock.kernel.timer import TimerState, timer_list
    from kmock.kernel.work import Worker, work_struct

_LANDINGS = 4  # processors an interrupt may land on, beside the line's own, on a machine with many


class Running:
    """What runs, and in which flow: whoever waits for its end lets others go on."""

    def __init__(self, kernel: ExploredKernel) -> None:
        self.kernel = kernel
        self.flows: dict[object, Flow] = {}

    def __call__(self, what: object, callback: Callable[[], Any]) -> Any:
        """Run ``callback()`` behind whoever asked for it, before whoever waits for it."""
        order = self.kernel.explorer.order
        self.flows[what] = self.kernel.sched.running
        order.acquire(what)
        try:
            return callback()
        finally:
            order.release(what)
            self.flows.pop(what, None)

    def wait(self, what: object) -> None:
        """Wait until it does not run any more; who runs it itself is left to what every machine says of that."""
        sched = self.kernel.sched
        while (flow := self.flows.get(what)) is not None and flow is not sched.running:
            sched.relax()


class ExploringIrqs(Irqs):
    """Interrupt lines whose interrupts may land on any processor."""

    kernel: ExploredKernel

    def __init__(self, kernel: ExploredKernel) -> None:
        super().__init__(kernel)
        self._running = Running(kernel)
        self._again: set[int] = set()
        """Lines raised again while they were handled."""
        self._pinned: set[int] = set()

    def set_affinity(self, irq: int, cpu: int) -> int:
        """``irq_set_affinity()``."""
        self._pinned.add(irq)
        return super().set_affinity(irq, cpu)

    @property
    def handling(self) -> list[Action]:
        """Handlers that the running flow runs, the innermost last."""
        return self.kernel.sched.running.handling

    @handling.setter
    def handling(self, handling: list[Action]) -> None:
        """Each flow has its own."""

    def raise_irq(self, irq: int, source: Any = None) -> None:
        """The device raises its line. A test that raises one waits until the processor that handles it is through."""
        line = self.lines.get(irq)
        if line is None or not line.actions or line.depth:
            super().raise_irq(irq, source)
            return
        k = self.kernel
        order = k.explorer.order
        order.release(("raised", irq))
        cpu = self._landing(irq, line)
        if cpu is k.cpu:
            self._deliver(irq, line, source)
        else:
            flow = k.sched.interrupt(cpu, f"irq {irq}", lambda: self._serve(irq, line, source))
            if k.cpu.preempt_count or k.cpu.irqs_off or k.sched.running.calls:
                return  # a driver whose register write made the device raise it goes on meanwhile
            while not flow.done:
                k.sched.relax()
        order.acquire(("irq", irq))

    def _landing(self, irq: int, line: Line) -> Cpu:
        k = self.kernel
        numbers = [line.cpu]
        if irq not in self._pinned:
            numbers += [n for n in range(min(len(k.cpus), _LANDINGS)) if n != line.cpu]
        return k.cpus[numbers[k.explorer.decide(k.sched.running, [f"c{n}" for n in numbers])]]

    def _serve(self, irq: int, line: Line, source: Any) -> None:
        """``handle_edge_irq()``: a line that is being handled elsewhere is handled there once more."""
        if line.depth:
            line.pending = True
            return
        self._again.add(irq)
        if ("irq", irq) in self._running.flows:
            return
        while irq in self._again:
            self._again.discard(irq)
            self._running(("irq", irq), lambda: self._serve_once(irq, line, source))

    def _serve_once(self, irq: int, line: Line, source: Any) -> None:
        self.kernel.explorer.order.acquire(("raised", irq))
        super()._serve(irq, line, source)

    def free(self, irq: int, dev_id: Any, order: str = "cleanup-order") -> str | None:
        """``free_irq()``."""
        name = super().free(irq, dev_id, order)
        self._running.wait(("irq", irq))
        return name

    def synchronize(self, irq: int) -> None:
        """``synchronize_irq()``."""
        self._running.wait(("irq", irq))
        super().synchronize(irq)

    def raise_local(self, cpu: int, action: Callable[[], None]) -> None:
        """An interrupt of processor ``cpu`` alone."""
        k = self.kernel
        if cpu == k.cpu.id and not k.sched.running.idling:
            super().raise_local(cpu, action)
        else:
            k.sched.interrupt(k.cpus[cpu], "local interrupt", action)


class ExploringTimers(Timers):
    """Timers whose functions may run beside who deletes them."""

    kernel: ExploredKernel

    def __init__(self, kernel: ExploredKernel) -> None:
        super().__init__(kernel)
        self._running = Running(kernel)

    def _call(self, timer: timer_list, state: TimerState) -> None:
        self._running(timer, lambda: super(ExploringTimers, self)._call(timer, state))

    def delete_sync(self, timer: timer_list) -> int:
        """``del_timer_sync()``."""
        pending = self.delete(timer) if timer in self._running.flows else 0
        self._running.wait(timer)
        return super().delete_sync(timer) or pending


class ExploringHrTimers(HrTimers):
    """The same for hrtimers."""

    kernel: ExploredKernel

    def __init__(self, kernel: ExploredKernel) -> None:
        super().__init__(kernel)
        self._running = Running(kernel)

    def _run(self, timer: hrtimer, state: HrTimerState) -> None:
        self._running(timer, lambda: super(ExploringHrTimers, self)._run(timer, state))

    def cancel(self, timer: hrtimer) -> int:
        """``hrtimer_cancel()``."""
        self._running.wait(timer)
        return super().cancel(timer)


class ExploringTasklets(Tasklets):
    """The same for tasklets."""

    kernel: ExploredKernel

    def __init__(self, kernel: ExploredKernel) -> None:
        super().__init__(kernel)
        self._running = Running(kernel)

    def _call(self, tasklet: tasklet_struct, state: TaskletState) -> None:
        self._running(tasklet, lambda: super(ExploringTasklets, self)._call(tasklet, state))

    def kill(self, tasklet: tasklet_struct) -> None:
        """``tasklet_kill()``."""
        self._running.wait(tasklet)
        super().kill(tasklet)
        self._running.wait(tasklet)


class ExploringIrqWorks(IrqWorks):
    """The same for irq_works."""

    kernel: ExploredKernel

    def __init__(self, kernel: ExploredKernel) -> None:
        super().__init__(kernel)
        self._running = Running(kernel)

    def _run(self, work: irq_work, state: IrqWorkState) -> None:
        self._running(work, lambda: super(ExploringIrqWorks, self)._run(work, state))

    def sync(self, work: irq_work) -> None:
        """``irq_work_sync()``."""
        super().sync(work)
        self._running.wait(work)


class ExploringWorkqueues(Workqueues):
    """Workqueues that order what a work item does behind whoever queued it, and before whoever flushes it."""

    kernel: ExploredKernel

    def _process(self, worker: Worker, work: work_struct) -> None:
        order = self.kernel.explorer.order
        pwq = work.of(self.kernel).pwq
        order.acquire(work)
        super()._process(worker, work)
        order.release(work, *([pwq.wq] if pwq is not None else []))


class ExploringRcu(Rcu):
    """Grace periods that order callbacks behind the readers they waited for."""

    kernel: ExploredKernel

    def after_grace_period(self, action: Callable[[], None], but: Cpu | None = None) -> None:
        """Call ``action`` once all readers there are now are through."""
        order = self.kernel.explorer.order

        def behind_readers() -> None:
            order.inbound = (READERS, UPDATES)
            action()
            order.inbound = ()

        super().after_grace_period(behind_readers, but)
