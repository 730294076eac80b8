"""Timers in jiffies (``kernel/time/timer.c``): they expire at a tick, in softirq context on their processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.current import current
from kmock.hw.cpu import HARDIRQ_MASK, PREEMPT_MASK
from kmock.kernel import callbacks
from kmock.kernel.balance import call_atomic
from kmock.kernel.hang import deadlock, hang_report
from kmock.kernel.held import PerKernel
from kmock.kernel.softirq import TIMER_SOFTIRQ
from kmock.kernel.time import jiffies_to_nsecs
from kmock.sanitizers import debug_objects
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.kernel.time import Timeout
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

TIMER_DEFERRABLE = 0x00080000
TIMER_PINNED = 0x00100000
TIMER_IRQSAFE = 0x00200000
_LONG = 1 << 63
_U64 = 1 << 64


class TimerState:
    """A timer in one kernel."""

    __slots__ = (
        "armed_at", "by_callback", "cancelled", "cpu", "data", "deleted_running", "expires", "flags", "function",
        "gets_data", "ready", "running", "timeout",
    )  # fmt: skip

    def __init__(self, function: Any = None, *, ready: bool = False) -> None:
        self.function = function
        self.ready = ready
        """Whether somebody set it up."""
        self.expires = 0
        self.data: Any = 0
        self.gets_data = False
        """Whether the function is called with ``data``, as up to 4.14, and not with the timer."""
        self.flags = 0
        self.timeout: Timeout | None = None
        """The timeout while it is pending."""
        self.cpu = 0
        self.running = False
        self.cancelled = False
        """Whether it was deleted for good, with somebody waiting for its function."""
        self.by_callback = False
        self.deleted_running = False
        """Whether it was deleted without waiting while its function ran."""
        self.armed_at: Stack = ()


class timer_list(PerKernel[TimerState]):
    """``struct timer_list``; ``timer_setup()`` makes it usable, ``DEFINE_TIMER()`` makes a usable one."""

    __slots__ = ("_function",)
    C_SIZE: ClassVar[int] = 40

    def __init__(self, function: Any = None) -> None:
        super().__init__()
        self._function = function

    def fresh(self) -> TimerState:
        """One that ``DEFINE_TIMER()`` made is set up; a declared one is not."""
        return TimerState(self._function, ready=self._function is not None)

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that the timer lies in is being freed."""
        k.timers.memory_freed(self, allocation)

    @property
    def expires(self) -> int:
        """The jiffy at which it is due."""
        return self.of(current.get()).expires

    @expires.setter
    def expires(self, expires: int) -> None:
        self.of(current.get()).expires = expires

    @property
    def function(self) -> Any:
        """What is called then."""
        return self.of(current.get()).function

    @function.setter
    def function(self, function: Any) -> None:
        self.of(current.get()).function = function

    @property
    def data(self) -> Any:
        """The argument of the function, up to 4.14."""
        return self.of(current.get()).data

    @data.setter
    def data(self, data: Any) -> None:
        self.of(current.get()).data = data

    @property
    def flags(self) -> int:
        """``TIMER_IRQSAFE`` and its kin."""
        return self.of(current.get()).flags


class Timers:
    """The timers of one machine."""

    __slots__ = ("_expired", "armed", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.armed: dict[timer_list, None] = {}
        """Timers that are pending."""
        self._expired: dict[int, list[timer_list]] = {}
        """Those of them whose tick has come, by processor."""
        kernel.softirqs.open(TIMER_SOFTIRQ, self._run)

    def setup(
        self, timer: timer_list, function: Any, flags: int = 0, *, data: Any = 0, gets_data: bool = False
    ) -> None:
        """``timer_setup()``, and the older ``setup_timer()`` whose function gets ``data``."""
        state = timer.of(self.kernel)
        if state.timeout is not None:
            debug_objects.complain(
                self.kernel, "free-active-object", "init active", "timer_list", state.function, timer,
                {"armed": state.armed_at},
            )  # fmt: skip
            self._detach(timer, state)
        running = state.running
        state.__init__(function, ready=True)  # type: ignore[misc]  # all of it anew
        state.running, state.flags, state.data, state.gets_data = running, flags, data, gets_data

    # -- arming -------------------------------------------------------------------------------------

    def mod(self, timer: timer_list, expires: int, *, cpu: int | None = None, only_pending: bool = False) -> int:
        """``mod_timer()``: 1 if it was pending. One that was shut down stays so."""
        k = self.kernel
        state = timer.of(k)
        if not self._initialised(timer, state, "assert_init not available"):
            return 0
        pending = state.timeout is not None
        if state.function is None or (only_pending and not pending):
            return 0
        if pending:
            self._detach(timer, state)
        state.expires = expires
        state.cpu = k.cpu.id if cpu is None else cpu
        state.armed_at = capture(3)
        state.by_callback = bool(k.cpu.preempt_count & ~PREEMPT_MASK) or not k.current.pid
        state.timeout = k.sched.timeouts.arm(self._due(expires), lambda: self._tick(timer))
        self.armed[timer] = None
        return int(pending)

    def add(self, timer: timer_list, cpu: int | None = None) -> None:
        """``add_timer()``: a timer that is pending already is a mistake."""
        state = timer.of(self.kernel)
        if state.timeout is None:
            self.mod(timer, state.expires, cpu=cpu)
            return
        at, function = ("1242", "add_timer") if cpu is None else ("1264", "add_timer_on")
        stacks = {"access": self.kernel.capture(), "armed": state.armed_at}
        self.kernel.warn("timer-double-add", f"kernel/time/timer.c:{at}", function, stacks=stacks, key=timer)

    def pending(self, timer: timer_list) -> bool:
        """``timer_pending()``."""
        return timer.of(self.kernel).timeout is not None

    def _due(self, expires: int) -> int:
        """Return when a timer is due: at the next tick, if its jiffy is over."""
        clock = self.kernel.clock
        ahead = (expires - clock.jiffies) % _U64
        late = ahead >= _LONG or ahead == 0
        return jiffies_to_nsecs(clock.now * clock.hz // 1_000_000_000 + (1 if late else ahead), clock.hz)

    def _initialised(self, timer: timer_list, state: TimerState, what: str) -> bool:
        if not state.ready:
            debug_objects.complain(self.kernel, "timer-uninit", what, "timer_list", state.function, timer)
        return state.ready

    # -- deleting -----------------------------------------------------------------------------------

    def delete(self, timer: timer_list) -> int:
        """``del_timer()``: 1 if it was pending. Its function may still run."""
        state = timer.of(self.kernel)
        if not self._initialised(timer, state, "assert_init not available"):
            return 0
        state.deleted_running |= state.running
        return self._detach(timer, state)

    def try_to_delete_sync(self, timer: timer_list) -> int:
        """``try_to_del_timer_sync()``: -1 while its function runs."""
        state = timer.of(self.kernel)
        if not self._initialised(timer, state, "assert_init not available"):
            return 0
        return -1 if state.running else self._detach(timer, state)

    def delete_sync(self, timer: timer_list) -> int:
        """``del_timer_sync()``: 1 if it was pending; its function does not run any more."""
        k = self.kernel
        state = timer.of(k)
        if not self._initialised(timer, state, "assert_init not available"):
            return 0
        if k.cpu.preempt_count & HARDIRQ_MASK and not state.flags & TIMER_IRQSAFE:
            k.warn("timer-del-sync-irq", "kernel/time/timer.c:1564", "__timer_delete_sync", key=timer)
        pending = self._detach(timer, state)
        if state.running:
            raise deadlock(k, hang_report(k, [k.current], "deadlock"))
        k.lockdep.enter(callbacks.timer_map(k, state.function))
        state.cancelled = True
        return pending

    def shut_down(self, timer: timer_list, *, sync: bool) -> int:
        """``timer_shutdown()``, and ``_sync``: delete it, and let nobody arm it until it is set up anew."""
        pending = self.delete_sync(timer) if sync else self.delete(timer)
        timer.of(self.kernel).function = None
        return pending

    def _detach(self, timer: timer_list, state: TimerState) -> int:
        if state.timeout is None:
            return 0
        state.timeout.cancel()
        state.timeout = None
        del self.armed[timer]
        if timer in (expired := self._expired.get(state.cpu, [])):
            expired.remove(timer)
        return 1

    # -- expiring -----------------------------------------------------------------------------------

    def _tick(self, timer: timer_list) -> None:
        cpu = timer.of(self.kernel).cpu
        self._expired.setdefault(cpu, []).append(timer)
        self.kernel.irqs.raise_local(cpu, lambda: self.kernel.softirqs.raise_softirq(TIMER_SOFTIRQ))

    def _run(self) -> None:
        """``run_timer_softirq()``."""
        expired = self._expired.get(self.kernel.cpu.id, [])
        while expired:
            timer = expired[0]
            state = timer.of(self.kernel)
            self._detach(timer, state)
            self._call(timer, state)

    def _call(self, timer: timer_list, state: TimerState) -> None:
        """``call_timer_fn()``."""
        k = self.kernel
        function = state.function
        place = f"WARNING: CPU: {k.cpu.id} PID: {k.current.pid} at kernel/time/timer.c:1707 call_timer_fn+0x0/0x0"

        def complaint(before: int, after: int) -> tuple[str, list[str]]:
            name = debug_objects.name(function)
            return f"timer: {name}+0x0/0x0 preempt leak: {before:08x} -> {after:08x}", [place]

        state.running, state.deleted_running = True, False
        try:
            with callbacks.Running(k, "call_timer_fn", callbacks.timer_map(k, function)):
                call_atomic(k, function, state.data if state.gets_data else timer, complaint)
        finally:
            state.running = False

    # -- the end ------------------------------------------------------------------------------------

    def memory_freed(self, timer: timer_list, allocation: Allocation | None) -> None:
        """The memory that ``timer`` lies in is freed: it may neither be pending nor, once deleted, still run."""
        k = self.kernel
        state = timer.of(k)
        if state.timeout is not None:
            kind = "timer-rearm-after-shutdown" if state.cancelled and state.by_callback else "free-active-object"
            debug_objects.freed_active(k, allocation, kind, "timer_list", state.function, timer, state.armed_at)
            self._detach(timer, state)
        elif state.running and state.deleted_running:
            k.report(
                "timer-not-sync-deleted",
                f"BUG: kmock: timer-not-sync-deleted in {k.symbol(k.capture())}",
                lines=[f"{debug_objects.name(state.function)}() still runs, which del_timer() did not wait for"],
                key=(timer, "freed"),
            )
        state.ready = False

    def registrations(self) -> Iterator[Registration]:
        """The timers that are pending."""
        for timer in list(self.armed):
            state = timer.of(self.kernel)
            name = debug_objects.name(state.function)
            headline = f"ODEBUG: free active (active state 0) object type: timer_list hint: {name}+0x0/0x0"
            yield Registration(f"timer {name}()", state.armed_at, "del_timer_sync", "free-active-object", headline)
