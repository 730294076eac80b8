"""The scheduler: cooperative, deterministic, in virtual time (``kernel/sched/core.c``).

One task runs until it blocks or yields; the test's own code is a task too. What runs next is who waited
longest, or, on a machine with a seed, whom the seed picks. When nobody can run, the clock jumps to the
next timeout; when there is none either, nothing that is left can end the wait of the test's code, and that
is reported as a deadlock or a hang.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any

from kmock.current import current
from kmock.hw.cpu import HARDIRQ_MASK
from kmock.kernel.hang import Wait, cycle_through, deadlock, hang_report
from kmock.kernel.task import TASK_DEAD, TASK_INTERRUPTIBLE, TASK_NORMAL, TASK_RUNNING, TASK_UNINTERRUPTIBLE, Task
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT, NSEC_PER_SEC, Timeouts, next_tick
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel

YIELD_NSECS = 100_000
"""Virtual time that passes when a task yields and nobody else wants to run."""
RELAX_NSECS = 1_000_000
"""The same for one that polls."""
LOCKUP_NSECS = 26 * NSEC_PER_SEC
"""How long a task may poll what nobody is left to change."""
RUN_NSECS = 10 * NSEC_PER_SEC
"""How much virtual time ``run()`` lets pass at most, for the sake of tasks that work periodically."""
HUNG_NSECS = 120 * NSEC_PER_SEC
"""``hung_task_timeout_secs``: how long a wait may last that has no timeout of its own."""

PATIENCE_NSECS = 3600 * NSEC_PER_SEC
"""The same for a wait that a signal could end, which the kernel never minds."""


class Scheduler:
    """The tasks of one kernel, who can run and who waits."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.timeouts = Timeouts(kernel.clock)
        self.tasks: dict[int, Task] = {}
        """Kernel threads that live, by pid."""
        self.blocked: dict[Task, Wait] = {}
        """Tasks that wait, in the order in which they began to."""
        self.spawned: list[Task] = []
        """Tasks that a test started itself."""
        self._queue: deque[Task] = deque()
        self._random = random.Random(kernel.config.seed) if kernel.config.seed else None
        self._idle: Task | None = None
        # The greenlet of the test's code, and the task it stood for when it was switched out.
        self._main: Any = None
        self._main_task: Task | None = None

    # -- waking and blocking ------------------------------------------------------------------------

    def wake(self, task: Task, states: int = TASK_NORMAL) -> int:
        """``try_to_wake_up()``: 1 if ``task`` slept in one of ``states``."""
        if not task.state & states or task.state == TASK_DEAD:
            if task.state == TASK_RUNNING and task is not self.kernel.current:
                task.woken_early = capture(2)
            return 0
        task.woken_early = ()
        task.state = TASK_RUNNING
        self.unpark(task)
        return 1

    def unpark(self, task: Task) -> None:
        """Let a task that waits run again; nothing if it doesn't."""
        if self.blocked.pop(task, None) is not None:
            self._queue.append(task)

    def schedule(self, wait: Wait | None = None) -> None:
        """``schedule()``: give way to others; until somebody wakes it, if the task's state says so."""
        k = self.kernel
        k.atomic_sleep.scheduling()
        task = k.current
        if task.signal_ends(task.state):
            task.state = TASK_RUNNING
        if task.state == TASK_RUNNING:
            self.give_way()
        else:
            task.slept_at = capture(2)
            task.spun = 0
            self.park(wait or Wait("to be woken"))
        if k.cpu.preempt_count & HARDIRQ_MASK and not k.irqs.handling:
            # __schedule() returns with interrupts on, whoever called it.
            k.cpu.irqs_off = False

    def schedule_timeout(self, timeout: int, wait: Wait | None = None) -> int:
        """``schedule_timeout()``: the jiffies that were left when the task was woken."""
        if timeout >= MAX_SCHEDULE_TIMEOUT:
            self.schedule(wait)
            return timeout
        clock = self.kernel.clock
        expire = clock.jiffies + timeout
        self.sleep_until(next_tick(clock.now, timeout, clock.hz), wait)
        return max(expire - clock.jiffies, 0)

    def sleep_until(self, when: int, wait: Wait | None = None) -> None:
        """Schedule with a timeout that is due when the clock shows ``when``."""
        task = self.kernel.current
        alarm = self.timeouts.arm(when, lambda: self._time_out(task))
        wait = wait or Wait("for time to pass")
        wait.alarm = alarm
        try:
            self.schedule(wait)
        finally:
            alarm.cancel()

    def _time_out(self, task: Task) -> None:
        self.wake(task)

    def park(self, wait: Wait) -> None:
        """Run others until somebody calls ``unpark()``; Deadlock in the test's code if nobody ever can."""
        task = self.kernel.current
        if not task.pid:
            self._idle_waits(task, wait)
            return
        task.blocked_since = self.kernel.clock.now
        task.wait = wait
        self.blocked[task] = wait
        try:
            cycle = cycle_through(self.kernel, task) if wait.lock is not None else []
            if not cycle or not self._deadlock(cycle):
                self._switch_away(task)
        finally:
            task.wait = None
            if self.blocked.pop(task, None) is not None:
                task.state = TASK_RUNNING

    def give_way(self) -> None:
        """Let others run that can; where there is nobody, a little time passes."""
        task = self.kernel.current
        if self._queue and task.pid:
            self._queue.append(task)
            self._switch_away(task)
        else:
            self.spend(YIELD_NSECS)

    def relax(self) -> None:
        """``cpu_relax()`` in a loop that waits for somebody else; soft lockup if nobody ends it for 26 seconds."""
        task = self.kernel.current
        if self.somebody_waits:
            task.spun = 0
            self.give_way()
            return
        self.spend(RELAX_NSECS)
        task.spun += RELAX_NSECS
        if task.spun > LOCKUP_NSECS:
            task.wait = task.wait or Wait("in a loop, for what nobody is left to do")
            raise deadlock(self.kernel, hang_report(self.kernel, [task]))

    def _idle_waits(self, task: Task, wait: Wait) -> None:
        """A handler that interrupted the idle task is to sleep: no other task can go on meanwhile."""
        if wait.alarm is None:
            raise deadlock(self.kernel, hang_report(self.kernel, [task]))
        self.spend(max(wait.alarm.when - self.kernel.clock.now, 0))
        task.state = TASK_RUNNING

    @property
    def somebody_waits(self) -> bool:
        """Whether another task could run now."""
        return bool(self._queue)

    def yield_to_others(self) -> int:
        """``cond_resched()``: give way if another task could run; whether one did."""
        if not self._queue:
            return 0
        self.give_way()
        return 1

    def spend(self, nsecs: int) -> None:
        """Let time pass without giving way: ``udelay()``."""
        k = self.kernel
        clock = k.clock
        if k.config.lint and (k.cpu.preempt_count or k.cpu.irqs_off):
            k.atomic_sleep.busy(nsecs)
        until = clock.now + nsecs
        while self.timeouts.fire(until):
            pass
        clock.now = until

    # -- the test's side ----------------------------------------------------------------------------

    def run(self) -> None:
        """Run tasks until all are idle. While one of them sleeps, time goes on to what is due."""
        until = self.kernel.clock.now + RUN_NSECS
        self.drain()
        while self.blocked and self.timeouts.fire(until):
            self.drain()

    def advance(self, seconds: float) -> None:
        """Move time on by ``seconds``, with all that is due on the way."""
        clock = self.kernel.clock
        until = clock.now + round(seconds * NSEC_PER_SEC)
        self.drain()
        while self.timeouts.fire(until):
            self.drain()
        clock.now = max(clock.now, until)
        self._look_for_hung_tasks()

    def drain(self) -> None:
        """Run tasks until nobody can without time going on."""
        task = self.kernel.current
        before, self._idle = self._idle, task
        try:
            while self._queue:
                self._switch(task, self._pick())
        finally:
            self._idle = before

    def _look_for_hung_tasks(self) -> None:
        """``check_hung_uninterruptible_tasks()``."""
        now = self.kernel.clock.now
        for task in list(self.blocked):
            if task.state & TASK_UNINTERRUPTIBLE and self._waits_in_vain(task, now):
                hang_report(self.kernel, [task])

    def finish(self) -> None:
        """The end of the machine: uninterruptible waits that nobody ended are hangs; then all tasks go."""
        for task, wait in list(self.blocked.items()):
            in_vain = task.state == TASK_RUNNING or task.state & TASK_UNINTERRUPTIBLE or task in self.spawned
            if in_vain and wait.alarm is None and wait is task.wait:
                hang_report(self.kernel, [task])

    def stop(self) -> None:
        """End every task where it is, without letting it do anything any more."""
        before, current.kernel = current.kernel, None
        try:
            for task in list(self.tasks.values()):
                if task.greenlet is not None:
                    kill(task.greenlet)
        finally:
            current.kernel = before
            self.tasks.clear()

    # -- tasks --------------------------------------------------------------------------------------

    def add(self, task: Task, body: Callable[[], int]) -> None:
        """Make a task that will run ``body`` once it is woken."""
        from greenlet import getcurrent, greenlet  # noqa: PLC0415 -- a test with one task does without

        if self._main is None:
            self._main = getcurrent()
        # One that starts because another ended is handed the other's result.
        task.greenlet = greenlet(lambda *_: self._body(task, body), self._main)
        if task.cpu is None:
            task.cpu = self.kernel.cpus[self._emptiest_cpu()]
        task.state = TASK_UNINTERRUPTIBLE
        self.tasks[task.pid] = task
        self.blocked[task] = Wait("to be woken for the first time")

    def registrations(self) -> Iterator[Registration]:
        """The kernel threads that drivers made."""
        for task in self.tasks.values():
            if task.thread is not None and not task.thread.done:
                yield Registration(f"thread {task!r}", task.thread.made_at, "kthread_stop", "kthread-left")

    def _emptiest_cpu(self) -> int:
        """The processor with the fewest tasks; the test's own has one more."""
        n = len(self.kernel.cpus)
        load = [0] * n
        load[self.kernel.cpu.id] = 1
        for task in self.tasks.values():
            if task.cpu is not None:
                load[task.cpu.id] += 1
        return load.index(min(load))

    def _body(self, task: Task, body: Callable[[], int]) -> None:
        from greenlet import GreenletExit  # noqa: PLC0415 -- a test with one task does without

        try:
            task.exit_code = body()
        except GreenletExit:
            return
        except BaseException:
            # The test has to hear of it: go on where its code waits, with the exception.
            self._end(task)
            self._become(task, self._main_task)
            task.greenlet.parent = self._main
            raise
        self._end(task)
        following = self._next()
        if isinstance(following, list):
            self._become(task, self._main_task)
            task.greenlet.parent = self._main
            raise deadlock(self.kernel, hang_report(self.kernel, following))
        self._become(task, following)
        task.greenlet.parent = following.greenlet

    def _end(self, task: Task) -> None:
        task.state = TASK_DEAD
        self.tasks.pop(task.pid, None)

    # -- switching ----------------------------------------------------------------------------------

    def _pick(self) -> Task:
        if self._random is None or len(self._queue) == 1:
            return self._queue.popleft()
        self._queue.rotate(-self._random.randrange(len(self._queue)))
        return self._queue.popleft()

    def _next(self) -> Task | list[Task]:
        """Return who runs next, letting time pass if need be; those who wait in vain if nobody ever can."""
        while not self._queue:
            if self._idle is not None:
                return self._idle
            waiting = self._main_task if self._main_task in self.blocked else None
            if waiting is not None and self._waits_in_vain(waiting, self.kernel.clock.now):
                return [waiting]
            if not self.timeouts.fire(MAX_SCHEDULE_TIMEOUT):
                return sorted(self.blocked, key=lambda task: task is not self._main_task)
        return self._pick()

    def _waits_in_vain(self, task: Task, now: int) -> bool:
        limit = PATIENCE_NSECS if task.state & TASK_INTERRUPTIBLE else HUNG_NSECS
        return task.wait is not None and task.wait.alarm is None and now - task.blocked_since > limit

    def _switch_away(self, task: Task) -> None:
        """Let somebody else run; returns when ``task`` is picked again."""
        if self._main is None or self._in_main():
            self._main_task = task
        following = self._next()
        if isinstance(following, list):
            self._end_test(following)
        elif following is not task:
            self._switch(task, following)

    def _switch(self, task: Task, following: Task) -> None:
        from greenlet import getcurrent  # noqa: PLC0415 -- a test with one task does without

        if self._in_main():
            self._main_task = task
        # A process in a system call is a task of its own that runs in the caller's flow of execution.
        task.greenlet = getcurrent()
        self._become(task, following)
        following.greenlet.switch()

    def _in_main(self) -> bool:
        if self._main is None:
            return True
        from greenlet import getcurrent  # noqa: PLC0415 -- a test with one task does without

        return getcurrent() is self._main

    def _become(self, task: Task, following: Task | None) -> None:
        """``context_switch()``: the processors' state, without the flow of execution."""
        assert following is not None
        k = self.kernel
        cpu = task.cpu = k.cpu
        task.saved = cpu.preempt_count, cpu.irqs_off
        if task.displaced is not None:
            cpu.task, cpu.preempt_count, cpu.irqs_off = task.displaced
            task.displaced = None
        k.cpu = cpu = following.cpu or k.cpus[0]
        if cpu.task is not following:
            following.displaced = cpu.task, cpu.preempt_count, cpu.irqs_off
            cpu.task = following
        cpu.preempt_count, cpu.irqs_off = following.saved

    # -- when nothing goes on -----------------------------------------------------------------------

    def _deadlock(self, cycle: list[Task]) -> bool:
        """Tasks wait for each other: report it, and end the test's code if it is one of them.

        Returns whether the running task was away meanwhile, and was woken.
        """
        main = self.kernel.current if self._in_main() else self._main_task
        if main not in cycle:
            hang_report(self.kernel, cycle, kind="deadlock")
            return False
        cycle.sort(key=lambda task: task is not main)
        self._end_test(cycle, "deadlock")
        return True

    def _end_test(self, waiting: list[Task], kind: str = "") -> None:
        """Raise Deadlock in the test's code; a thread that is running stays where it is, and may be woken later."""
        in_main = self._in_main()
        if not in_main:
            self._become(self.kernel.current, self._main_task)
        # Made from where the test's code stands, so that the report shows its context.
        end = deadlock(self.kernel, hang_report(self.kernel, waiting, kind))
        if in_main:
            raise end
        self._main.throw(end)


def kill(greenlet: Any) -> None:
    """End a flow of execution where it is."""
    from greenlet import GreenletExit, getcurrent  # noqa: PLC0415 -- a test with one task does without

    greenlet.parent = getcurrent()
    try:
        greenlet.throw(GreenletExit)
    except BaseException:  # noqa: BLE001 -- the machine is gone: whatever the task still wants fails
        return
