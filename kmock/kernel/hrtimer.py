"""Timers in nanoseconds (``kernel/time/hrtimer.c``): they expire in hard interrupt context, or as softirqs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.current import current
from kmock.kernel import callbacks
from kmock.kernel.balance import call_atomic
from kmock.kernel.hang import deadlock, hang_report
from kmock.kernel.held import PerKernel
from kmock.kernel.softirq import HRTIMER_SOFTIRQ
from kmock.sanitizers import debug_objects
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.kernel.time import Timeout
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

HRTIMER_NORESTART = 0
HRTIMER_RESTART = 1
HRTIMER_MODE_ABS = 0
HRTIMER_MODE_REL = 1
HRTIMER_MODE_PINNED = 2
HRTIMER_MODE_SOFT = 4
HRTIMER_MODE_HARD = 8


class HrTimerState:
    """An hrtimer in one kernel."""

    __slots__ = ("armed_at", "cpu", "expires", "function", "ready", "running", "soft", "timeout")

    def __init__(self) -> None:
        self.function: Any = None
        self.ready = False
        self.expires = 0
        self.soft = False
        self.cpu = 0
        self.timeout: Timeout | None = None
        """The timeout while it is queued."""
        self.running = False
        self.armed_at: Stack = ()


class hrtimer(PerKernel[HrTimerState]):
    """``struct hrtimer``; ``hrtimer_init()`` makes it usable."""

    __slots__ = ()
    C_SIZE: ClassVar[int] = 64

    def fresh(self) -> HrTimerState:
        """Not initialised."""
        return HrTimerState()

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that the timer lies in is being freed."""
        state = self.of(k)
        if state.timeout is not None:
            function, at = state.function, state.armed_at
            debug_objects.freed_active(k, allocation, "free-active-object", "hrtimer", function, self, at)
            k.hrtimers.dequeue(self, state)
        state.ready = False

    @property
    def function(self) -> Any:
        """What is called; it returns HRTIMER_RESTART to be called again."""
        return self.of(current.get()).function

    @function.setter
    def function(self, function: Any) -> None:
        self.of(current.get()).function = function


class HrTimers:
    """The hrtimers of one machine."""

    __slots__ = ("_expired", "armed", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.armed: dict[hrtimer, None] = {}
        self._expired: dict[int, list[hrtimer]] = {}
        """Those for softirq context whose time has come, by processor."""
        kernel.softirqs.open(HRTIMER_SOFTIRQ, self._run_soft)

    def init(self, timer: hrtimer, mode: int) -> None:
        """``hrtimer_init()``."""
        state = timer.of(self.kernel)
        if state.timeout is not None:
            stacks = {"armed": state.armed_at}
            kind, what = "free-active-object", "init active"
            debug_objects.complain(self.kernel, kind, what, "hrtimer", state.function, timer, stacks)
            self.dequeue(timer, state)
        state.ready, state.soft = True, bool(mode & HRTIMER_MODE_SOFT)

    def start(self, timer: hrtimer, time: int, mode: int) -> None:
        """``hrtimer_start()``: at ``time`` nanoseconds, or that much from now."""
        k = self.kernel
        state = timer.of(k)
        if not state.ready:
            debug_objects.complain(k, "timer-uninit", "activate not available", "hrtimer", state.function, timer)
            return
        self.dequeue(timer, state)
        state.expires = time + (k.clock.now if mode & HRTIMER_MODE_REL else 0)
        state.cpu, state.armed_at = k.cpu.id, capture(3)
        self._enqueue(timer, state)

    def _enqueue(self, timer: hrtimer, state: HrTimerState) -> None:
        k = self.kernel
        due = max(state.expires, k.clock.now)
        state.timeout = k.sched.timeouts.arm(due, lambda: self._expire(timer, state))
        self.armed[timer] = None

    def dequeue(self, timer: hrtimer, state: HrTimerState) -> int:
        """Take it back: 1 if it was queued."""
        if state.timeout is None:
            return 0
        state.timeout.cancel()
        state.timeout = None
        del self.armed[timer]
        if timer in (expired := self._expired.get(state.cpu, [])):
            expired.remove(timer)
        return 1

    def try_to_cancel(self, timer: hrtimer) -> int:
        """``hrtimer_try_to_cancel()``: 1 if it was queued, -1 while its function runs."""
        state = timer.of(self.kernel)
        return -1 if state.running else self.dequeue(timer, state)

    def cancel(self, timer: hrtimer) -> int:
        """``hrtimer_cancel()``: 1 if it was queued; its function does not run any more."""
        k = self.kernel
        found = self.try_to_cancel(timer)
        if found < 0:
            raise deadlock(k, hang_report(k, [k.current], "deadlock"))
        k.lockdep.enter(callbacks.hrtimer_map(k, timer.of(k).function))
        return found

    def forward(self, timer: hrtimer, now: int, interval: int) -> int:
        """``hrtimer_forward()``: move it behind ``now`` by whole intervals; how many."""
        state = timer.of(self.kernel)
        behind = now - state.expires
        if behind < 0 or interval <= 0:
            return 0
        overrun = behind // interval + 1
        state.expires += overrun * interval
        return overrun

    def _expire(self, timer: hrtimer, state: HrTimerState) -> None:
        def interrupt() -> None:
            if state.timeout is None:
                return
            if state.soft:
                self._expired.setdefault(state.cpu, []).append(timer)
                self.kernel.softirqs.raise_softirq(HRTIMER_SOFTIRQ)
            else:
                self._run(timer, state)

        self.kernel.irqs.raise_local(state.cpu, interrupt)

    def _run_soft(self) -> None:
        expired = self._expired.get(self.kernel.cpu.id, [])
        while expired:
            self._run(expired[0], expired[0].of(self.kernel))

    def _run(self, timer: hrtimer, state: HrTimerState) -> None:
        """``__run_hrtimer()``."""
        self.dequeue(timer, state)
        returned: list[Any] = []
        state.running = True
        try:
            with callbacks.Running(self.kernel, "__run_hrtimer", callbacks.hrtimer_map(self.kernel, state.function)):
                if state.soft:
                    call_atomic(self.kernel, lambda t: returned.append(state.function(t)), timer, self._complaint)
                else:
                    returned.append(state.function(timer))
        finally:
            state.running = False
        if returned[0] == HRTIMER_RESTART and state.timeout is None:
            self._enqueue(timer, state)

    def _complaint(self, before: int, after: int) -> tuple[str, list[str]]:
        headline = (
            f"softirq: huh, entered softirq {HRTIMER_SOFTIRQ} HRTIMER {self.kernel.layout.image:016x} "
            f"with preempt_count {before:08x}, exited with {after:08x}?"
        )
        return headline, []

    def registrations(self) -> Iterator[Registration]:
        """The timers that are queued."""
        for timer in list(self.armed):
            state = timer.of(self.kernel)
            name = debug_objects.name(state.function)
            headline = f"ODEBUG: free active (active state 0) object type: hrtimer hint: {name}+0x0/0x0"
            yield Registration(f"hrtimer {name}()", state.armed_at, "hrtimer_cancel", "free-active-object", headline)
