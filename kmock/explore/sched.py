"""The scheduler of a machine whose interleavings are explored.

Each processor goes on by itself: what it runs stays on it while others run, with preemption or interrupts off as they
are, and only a task that can be preempted makes room for another. Which flow takes the next step is chosen at every
step; while there is nothing to choose, everything is as on any machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.explore.flow import Flow
from kmock.explore.schedule import TIMER
from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK, SOFTIRQ_OFFSET
from kmock.kernel import preempt
from kmock.kernel.hang import Wait, cycle_through, deadlock, hang_report
from kmock.kernel.sched import YIELD_NSECS, Scheduler, kill
from kmock.kernel.task import TASK_RUNNING
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT, NSEC_PER_MSEC

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.explore.explorer import Explorer
    from kmock.explore.machine import ExploredKernel
    from kmock.hw.cpu import Cpu
    from kmock.kernel.task import Task

TIMER_REACH = 20 * NSEC_PER_MSEC
"""A timer that is due within this time may expire at any step: code is that slow now and then."""
_IN_INTERRUPT = NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET


class ExploringScheduler(Scheduler):
    """The flows of one machine, and which of them runs."""

    kernel: ExploredKernel

    def __init__(self, kernel: ExploredKernel) -> None:
        super().__init__(kernel)
        self.explorer: Explorer = kernel.explorer
        self.main = Flow(0, "test", kernel.cpus[0], kernel.cpus[0].own, None)
        self.main.ready = True
        self.main.fresh = False
        self.running = self.main
        self.flows = [self.main]
        self._begun = 0
        self._serial = 0
        self._stacks: dict[int, list[Flow]] = {0: [self.main]}
        """What is on each processor: a task, and interrupts on top of it."""
        self._by_time = False
        """Whether what wakes somebody is nothing but time."""
        self._resting: Flow | None = None
        """Who waits for all others to be idle."""
        self.explorer.order.begin(self.main)

    # -- flows ------------------------------------------------------------------------------------------

    def add(self, task: Task, body: Callable[[], int]) -> None:
        """Make a flow for a new task."""
        super().add(task, body)
        assert task.cpu is not None
        flow = self._begin(task.comm, task.cpu, task, task.greenlet)
        flow.parked = task

    def interrupt(self, cpu: Cpu, name: str, action: Callable[[], None]) -> Flow:
        """Make a flow that calls ``action()`` in hard interrupt context on ``cpu``, as soon as that is possible."""
        from greenlet import getcurrent, greenlet  # noqa: PLC0415 -- a test with one task does without

        if self._main is None:
            self._main = getcurrent()
        flow = self._begin(name, cpu, None, None)
        flow.greenlet = greenlet(lambda *_: self._interrupt(flow, action), self._main)
        self._make_ready(flow)
        return flow

    def _begin(self, name: str, cpu: Cpu, task: Task | None, greenlet: Any) -> Flow:
        self._begun += 1
        self.main.greenlet = self._main
        flow = Flow(self._begun, name, cpu, task, greenlet)
        if task is not None:
            flow.saved = [(cpu, task, 0, False)]
        self.flows.append(flow)
        self.explorer.order.begin(flow)
        return flow

    def _interrupt(self, flow: Flow, action: Callable[[], None]) -> None:
        k = self.kernel

        def deliver() -> int:
            with k.softirqs.interrupted(flow.cpu.id), preempt.hardirq(k):
                action()
            return 0

        self._live(flow, deliver)

    def _body(self, task: Task, body: Callable[[], int]) -> None:
        self._live(self.running, body)

    def _live(self, flow: Flow, body: Callable[[], int]) -> None:
        """A flow from its beginning to its end, which leads to the next."""
        from greenlet import GreenletExit  # noqa: PLC0415 -- a test with one task does without

        try:
            result = body()
        except GreenletExit:
            return
        except BaseException:
            # The test has to hear of it: go on where its code waits, with the exception.
            self._over(flow)
            self._enter(self.main)
            flow.greenlet.parent = self._main
            raise
        if flow.task is not None:
            flow.task.exit_code = result
        self._over(flow)
        following = self._next(flow)
        if isinstance(following, list):
            self._enter(self.main)
            flow.greenlet.parent = self._main
            raise deadlock(self.kernel, hang_report(self.kernel, following))
        self._enter(following)
        flow.greenlet.parent = following.greenlet

    def _over(self, flow: Flow) -> None:
        flow.done, flow.ready = True, False
        self.explorer.order.over(flow)
        self._leave(flow)
        self.flows.remove(flow)
        if flow.task is not None:
            self._end(flow.task)

    # -- who can run ------------------------------------------------------------------------------------

    def _make_ready(self, flow: Flow) -> None:
        self._serial += 1
        flow.ready, flow.parked, flow.serial = True, None, self._serial

    def _can_run(self, flow: Flow) -> bool:
        if not flow.ready or flow.idle:
            return False
        there = self._stacks.get(flow.cpu.id)
        if not there:
            return True
        if flow in there:
            return there[-1] is flow
        cpu = flow.cpu
        if flow.task is None:
            return not cpu.irqs_off and not cpu.preempt_count & (NMI_MASK | HARDIRQ_MASK)
        top = there[-1]
        willing = self.kernel.config.preempt or top.idle or top.yields
        return top.task is not None and willing and not cpu.preempt_count and not cpu.irqs_off

    def _others(self, me: Flow | None) -> list[Flow]:
        """Who else could take the next step; who has been ready longest comes first."""
        if len(self.flows) == 1:
            return [] if me is not None else [flow for flow in self.flows if self._can_run(flow)]
        return sorted((f for f in self.flows if f is not me and self._can_run(f)), key=lambda flow: flow.serial)

    @property
    def somebody_waits(self) -> bool:
        """Whether another flow could run now."""
        return bool(self._others(self.running))

    def yield_to_others(self) -> int:
        """``cond_resched()``: give way if another flow could run; whether one did."""
        others = self.somebody_waits
        if others:
            self.give_way()
        return int(others)

    # -- a step -----------------------------------------------------------------------------------------

    def point(self) -> None:
        """The running flow is about to take a step: let it, or let another go on instead."""
        me = self.running
        if me.inside or me.unbroken or self.kernel.cpu is not me.cpu:
            return
        others = [] if me.fresh else self._others(me)
        me.fresh = False
        if self._timer_may_expire():
            to = [str(me.number), *(str(flow.number) for flow in others), TIMER]
            chosen = self.explorer.decide(me, to, preempts=True)
            if to[chosen] != TIMER:
                self._let(me, [me, *others][chosen])
                return
            self._surprise(me, MAX_SCHEDULE_TIMEOUT)
            others = self._others(me)
        self._let(me, self._choose(me, [me, *others], preempts=True))

    def _surprise(self, me: Flow, until: int) -> bool:
        """Let the next timeout that is due by ``until`` happen, whatever ``me`` is doing; False if there is none."""
        before, me.surprised = me.surprised, True
        try:
            return self.timeouts.fire(until)
        finally:
            me.surprised = before

    def spend(self, nsecs: int) -> None:
        """Let time pass without giving way: ``udelay()``."""
        clock = self.kernel.clock
        until = clock.now + nsecs
        while self._surprise(self.running, until):
            pass
        clock.now = max(clock.now, until)

    def _let(self, me: Flow, following: Flow) -> None:
        if following is not me:
            self._save(me)
            self._go(me, following)

    def _timer_may_expire(self) -> bool:
        """Whether a timer interrupt could come right now, on this processor or another."""
        first = self.timeouts.first
        if first is None or first.when > self.kernel.clock.now + TIMER_REACH:
            return False
        cpu = self.kernel.cpu
        if cpu.irqs_off or cpu.preempt_count & (_IN_INTERRUPT | SOFTIRQ_MASK):
            return False
        # The end of a sleep is no interrupt that finds the sleeper unprepared: it is left to time.
        return all(wait.alarm is not first for wait in self.blocked.values())

    def _choose(self, me: Flow, options: list[Flow], *, preempts: bool = False, yields: bool = False) -> Flow:
        names = [str(flow.number) for flow in options]
        return options[self.explorer.decide(me, names, preempts=preempts, yields=yields)]

    # -- switching --------------------------------------------------------------------------------------

    def _save(self, flow: Flow) -> None:
        cpu = self.kernel.cpu
        # Inside on_cpu() there are two of them, and it is at home on the one that it comes back to.
        cpus = (cpu,) if cpu is flow.cpu else (flow.cpu, cpu)
        flow.saved = [(cpu, cpu.task, cpu.preempt_count, cpu.irqs_off) for cpu in cpus]
        if flow is self.main:
            self._main_task = cpu.task

    def _leave(self, flow: Flow) -> None:
        """The flow is no longer on its processor."""
        there = self._stacks.get(flow.cpu.id, [])
        if flow in there:
            there.remove(flow)
        if flow.task is not None and not there:
            cpu = flow.cpu
            cpu.task, cpu.preempt_count, cpu.irqs_off = cpu.own, 0, False

    def _enter(self, flow: Flow) -> None:
        """The flow goes on: its processor is as it left it."""
        k = self.kernel
        there = self._stacks.setdefault(flow.cpu.id, [])
        if flow not in there:
            if flow.task is None:
                there.append(flow)
            else:
                there[:] = [flow, *(other for other in there if other.task is None)]
        k.cpu = flow.cpu
        for cpu, task, preempt_count, irqs_off in flow.saved:
            k.cpu = cpu
            cpu.task, cpu.preempt_count, cpu.irqs_off = task, preempt_count, irqs_off
        self.running = flow

    def _go(self, me: Flow, following: Flow) -> None:
        self._enter(following)
        if following is not me:
            following.greenlet.switch()

    def _become(self, task: Task, following: Task | None) -> None:
        """Go on as the test's own code, which is to hear of something."""
        self._enter(self.main)

    def _next(self, me: Flow) -> Flow | list[Task]:  # type: ignore[override]  # flows here, tasks there
        """Return who runs next, letting time pass if need be; those who wait in vain if nobody ever can."""
        while True:
            options = self._others(None)
            if options:
                return self._choose(me, options)
            if self._resting is not None:
                return self._resting
            waiting = self._main_task if self._main_task in self.blocked else None
            if waiting is not None and self._waits_in_vain(waiting, self.kernel.clock.now):
                return [waiting]
            me.idling = True
            passed = self._surprise(me, MAX_SCHEDULE_TIMEOUT)
            me.idling = False
            if not passed:
                return sorted(self.blocked, key=lambda task: task is not self._main_task)

    # -- waiting ----------------------------------------------------------------------------------------

    def unpark(self, task: Task) -> None:
        """Let what waits as ``task`` go on; nothing if nothing does."""
        if self.blocked.pop(task, None) is None:
            return
        for flow in self.flows:
            if flow.parked is task:
                self._make_ready(flow)
                if not self._by_time:
                    self.explorer.order.wakes(flow)

    def _time_out(self, task: Task) -> None:
        self._by_time = True
        super()._time_out(task)
        self._by_time = False

    def park(self, wait: Wait) -> None:
        """Run others until somebody calls ``unpark()``; who spins stays on its processor meanwhile."""
        me, task = self.running, self.kernel.current
        if not task.pid:
            self._idle_waits(task, wait)
            return
        outer = task.wait
        task.blocked_since, task.wait = self.kernel.clock.now, wait
        self.blocked[task] = wait
        me.parked, me.ready = task, False
        self._save(me)
        try:
            cycle = cycle_through(self.kernel, task) if wait.lock is not None else []
            if not cycle or not self._deadlock(cycle):
                self._wait(me)
        finally:
            me.parked, me.ready, task.wait = None, True, outer
            if self.blocked.pop(task, None) is not None:
                task.state = TASK_RUNNING

    def _wait(self, me: Flow) -> None:
        cpu = self.kernel.cpu
        if not cpu.preempt_count and not cpu.irqs_off and me.task is not None:
            self._leave(me)
        following = self._next(me)
        if isinstance(following, list):
            self._enter(me)
            self._end_test(following)
        else:
            self._go(me, following)
        self.explorer.order.woken(me)

    def give_way(self) -> None:
        """Let others run that can; where there is nobody, a little time passes."""
        me = self.running
        others = self._others(me)
        if others and self.kernel.current.pid:
            self._save(me)
            self._serial += 1
            me.serial, me.yields = self._serial, True
            self._go(me, self._choose(me, others, yields=True))
            me.yields = False
        else:
            self.spend(YIELD_NSECS)

    def drain(self) -> None:
        """Run the others until nobody can without time going on."""
        me = self.running
        before, self._resting = self._resting, me
        me.idle = True
        try:
            while others := self._others(me):
                self._save(me)
                self._go(me, self._choose(me, others))
        finally:
            me.idle, self._resting = False, before
        self.explorer.order.all_idle(me)

    def stop(self) -> None:
        """End every flow where it is."""
        super().stop()
        for flow in self.flows[1:]:
            if flow.task is None:
                kill(flow.greenlet)
