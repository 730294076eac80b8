"""Interrupt lines and their handlers (``kernel/irq/manage.c``, ``handle.c``, ``spurious.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK
from kmock.kernel import callbacks, kthread, preempt, spurious
from kmock.kernel.hang import Wait
from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_RUNNING
from kmock.lang.ptr import origin_of
from kmock.sanitizers.leftovers import Registration
from kmock.stack import capture, site, sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

IRQF_SHARED = 0x80
IRQF_ONESHOT = 0x2000
IRQ_NONE = 0
IRQ_HANDLED = 1
IRQ_WAKE_THREAD = 2
NR_IRQS = 256
_EBUSY = 16
_EINVAL = 22
_ENOMEM = 12
SIZEOF_IRQACTION = 128
_WHOLE = 1000
"""Frames of a stack, all of them."""


class Action:
    """``struct irqaction``: one handler on a line."""

    __slots__ = ("dev_id", "flags", "handler", "irq", "name", "pending", "stack", "task", "thread_fn")

    def __init__(
        self, irq: int, handler: Any, thread_fn: Any, flags: int, name: str, dev_id: Any, stack: Stack
    ) -> None:
        self.irq = irq
        self.handler = handler
        self.thread_fn = thread_fn
        self.flags = flags
        self.name = name
        self.dev_id = dev_id
        self.stack = stack
        self.task: Task | None = None
        """The thread of a threaded handler."""
        self.pending = 0

    @property
    def function(self) -> str:
        """The name of what it calls."""
        return str(getattr(self.handler or self.thread_fn, "__name__", "handler"))


class Line:
    """``struct irq_desc``: one interrupt line."""

    __slots__ = ("actions", "count", "cpu", "depth", "disabled_at", "last_unhandled", "pending", "unhandled")

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.depth = 0
        """How often it is disabled."""
        self.disabled_at: Stack = ()
        """Where it was disabled last."""
        self.pending = False
        self.cpu = 0
        self.count = 0
        """Interrupts since unhandled ones were last looked at (``irq_count``)."""
        self.unhandled = 0
        self.last_unhandled = 0


class Irqs:
    """The interrupt lines of one kernel."""

    __slots__ = ("_local", "_waiting", "enabled_at", "handling", "kernel", "lines")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.lines: dict[int, Line] = {}
        self.handling: list[Action] = []
        """Handlers that run, the innermost last."""
        self.enabled_at: Stack = ()
        """Where a handler turned interrupts on."""
        self._waiting: dict[int, list[int]] = {}
        """Lines raised while their processor had interrupts off, by processor."""
        self._local: dict[int, list[Callable[[], None]]] = {}
        """The same for what the processors' own interrupts are to do."""

    # -- setting up ---------------------------------------------------------------------------------

    def request(self, irq: int, handler: Any, thread_fn: Any, flags: int, name: str, dev_id: Any) -> int:
        """``request_threaded_irq()``: 0, -EINVAL, -EBUSY or -ENOMEM."""
        k = self.kernel
        if (flags & IRQF_SHARED and dev_id is None) or not 0 < irq < NR_IRQS or not (handler or thread_fn):
            return -_EINVAL
        k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274", "irq-context-contract")
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_IRQACTION):
            return -_ENOMEM
        line = self.lines.setdefault(irq, Line())
        action = Action(irq, handler, thread_fn, flags, name, dev_id, k.capture())
        if error := self._conflict(line, action):
            return error
        if thread_fn is not None:
            action.task = kthread.create(k, self._thread, action, f"irq/{irq}-{name}")
            kthread.wake_new(k, action.task)
        line.actions.append(action)
        self._provoke(action)
        return 0

    def _provoke(self, action: Action) -> None:
        """``CONFIG_DEBUG_SHIRQ``: a shared line can be raised by others at any time, also right now."""
        k = self.kernel
        if k.config.debug_shirq and action.flags & IRQF_SHARED and action.handler is not None:
            with preempt.hardirq(k):
                self._handle(action)

    def _conflict(self, line: Line, new: Action) -> int:
        k = self.kernel
        if new.handler is None and not new.flags & IRQF_ONESHOT:
            k.report(
                "irq-oneshot-missing",
                f"genirq: Threaded irq requested with handler=NULL and !ONESHOT for {new.name} (irq {new.irq})",
                stacks={"access": new.stack},
            )
            return -_EINVAL
        if line.actions and not (new.flags & line.actions[0].flags & IRQF_SHARED):
            old = line.actions[0]
            k.log.write(
                f"genirq: Flags mismatch irq {new.irq}. {new.flags:08x} ({new.name}) vs. {old.flags:08x} ({old.name})"
            )
            return -_EBUSY
        return 0

    def free(self, irq: int, dev_id: Any, order: str = "cleanup-order") -> str | None:
        """``free_irq()``: wait for the handler and forget it; the name it was requested with.

        ``order`` is the kind of report where what the handler works on went before it.
        """
        k = self.kernel
        if not 0 <= irq < NR_IRQS:
            return None
        if k.cpu.preempt_count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK):
            k.atomic_sleep.asked += 1  # said below in the kernel's own words
            message = f"Trying to free IRQ {irq} from IRQ context!"
            k.warn("irq-free-in-irq", "kernel/irq/manage.c:1872", "__free_irq", message, key=("free-irq", irq))
        elif k.cpu.preempt_count or k.cpu.irqs_off or k.current.rcu_depth or k.current.non_block:
            k.atomic_sleep.might_sleep("kernel/locking/mutex.c:580", lock="(request_class){+.+.}-{3:3}")
        line = self.lines.get(irq)
        action = next((a for a in line.actions if a.dev_id is dev_id), None) if line else None
        if line is None or action is None:
            message = f"Trying to free already-free IRQ {irq}"
            k.warn(
                "irq-free-wrong", "kernel/irq/manage.c:1887", "__free_irq", message, key=("free-irq", irq, id(dev_id))
            )
            return None
        line.actions.remove(action)
        self._waits_for(action)
        self._provoke(action)
        if action.task is not None:
            kthread.stop(k, action.task)
        self._check_order(action, order)
        return action.name

    def _check_order(self, action: Action, kind: str) -> None:
        """Report a handler that was still on its line when the memory it works on had gone."""
        about = origin_of(action.dev_id)
        if about is None or about.live or about.free_stack is None:
            return
        k = self.kernel
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(about.free_stack)}",
            lines=[
                f"{action.function}() was still on interrupt line {action.irq} when the {about.what} it works on was freed"
            ],
            stacks={"access": about.free_stack, "requested": action.stack, "allocated": about.alloc_stack},
            object=k.kasan.info(about, about.addr),
            key=(about, "order"),
        )

    def set_affinity(self, irq: int, cpu: int) -> int:
        """``irq_set_affinity()`` to a single processor."""
        self.lines.setdefault(irq, Line()).cpu = self.kernel.cpus[cpu].id
        return 0

    def disable(self, irq: int) -> None:
        """``disable_irq_nosync()``; depths nest."""
        line = self.lines.setdefault(irq, Line())
        line.depth += 1
        line.disabled_at = self.kernel.capture()

    def enable(self, irq: int) -> None:
        """``enable_irq()``: a line that was raised meanwhile is served now."""
        line = self.lines.setdefault(irq, Line())
        if not line.depth:
            message = f"Unbalanced enable for IRQ {irq}"
            key = ("enable-irq", irq)
            self.kernel.warn("irq-enable-unbalanced", "kernel/irq/manage.c:781", "__enable_irq", message, key=key)
            return
        line.depth -= 1
        if not line.depth and line.pending:
            line.pending = False
            self.raise_irq(irq)

    def synchronize(self, irq: int) -> None:
        """``synchronize_irq()``: wait for the line's threads; a handler can't be running beside us."""
        k = self.kernel
        for action in self.actions(irq):
            self._waits_for(action)
            while action.pending and action.task is not None and action.task is not k.current:
                k.sched.give_way()

    def _waits_for(self, action: Action) -> None:
        """Whoever waits for a handler waits for the locks that it takes."""
        for function in (action.handler, action.thread_fn):
            if function is not None:
                self.kernel.lockdep.enter(callbacks.handler_map(self.kernel, function))

    def actions(self, irq: int) -> list[Action]:
        """The handlers on a line."""
        line = self.lines.get(irq)
        return list(line.actions) if line is not None else []

    def registrations(self) -> Iterator[Registration]:
        """The handlers that are on their lines, and the lines that were disabled and have a handler."""
        for irq, line in self.lines.items():
            for action in line.actions:
                what = f"handler {action.function}() of interrupt {irq}"
                yield Registration(what, action.stack, "free_irq", "irq-leak")
            if line.depth and line.actions:
                yield Registration(
                    f"disable_irq() of interrupt {irq}", line.disabled_at, "enable_irq", "irq-disable-leak"
                )

    def torn_down(self, about: Allocation) -> bool:
        """Whether a handler runs whose ``dev_id`` is ``about``, which has been freed."""
        return bool(self.handling) and origin_of(self.handling[-1].dev_id) is about

    def requested_too_early(self) -> bool:
        """Whether a handler runs while the driver's function that requested its line has not returned."""
        requester = site(self.handling[-1].stack) if self.handling else None
        if requester is None:
            return False
        running = [code for code, _ in sites(capture(1, _WHOLE))]
        # The outermost is the test: what it requests and raises itself, it does in the order that it wants.
        return requester[0] in running[:-1]

    # -- the interrupt ------------------------------------------------------------------------------

    def raise_irq(self, irq: int, source: Any = None) -> None:
        """A device raises its line; ``source`` is the dev_id of its handler, if it is to be looked who claims it."""
        k = self.kernel
        if not 0 < irq < NR_IRQS:
            raise ValueError(f"there is no interrupt line {irq}: lines 1 to {NR_IRQS - 1} exist")
        line = self.lines.get(irq)
        if line is None or not line.actions:
            return
        if line.depth:
            line.pending = True
        elif line.cpu == k.cpu.id:
            self._deliver(irq, line, source)
        else:
            with preempt.on_cpu(k, line.cpu):
                self._deliver(irq, line, source)

    def _deliver(self, irq: int, line: Line, source: Any) -> None:
        k = self.kernel
        cpu = k.cpu
        if cpu.irqs_off:
            waiting = self._waiting.setdefault(cpu.id, [])
            if irq not in waiting:
                waiting.append(irq)
            cpu.irq_waiting = True
            return
        with preempt.hardirq(k):
            self._serve(irq, line, source)

    def _serve(self, irq: int, line: Line, source: Any) -> None:
        """``handle_irq_event()``: call the line's handlers, and see who claims the interrupt."""
        k = self.kernel
        claims = [action for action in list(line.actions) if self._handle(action)]
        spurious.note(k, irq, line, handled=bool(claims))
        if source is not None:
            spurious.claimed(k, source, claims)

    def deliver_waiting(self) -> None:
        """Interrupts are on again on this processor: what was raised meanwhile comes in."""
        k = self.kernel
        cpu = k.cpu
        cpu.irq_waiting = False
        for action in self._local.pop(cpu.id, []):
            self.raise_local(cpu.id, action)
        for irq in self._waiting.pop(cpu.id, []):
            self.raise_irq(irq)

    def raise_local(self, cpu: int, action: Callable[[], None]) -> None:
        """An interrupt of processor ``cpu`` alone, by its timer or from one processor to another.

        ``action()`` runs in hard interrupt context, at once or when the processor has interrupts on.
        """
        k = self.kernel
        with k.softirqs.interrupted(cpu):
            if k.cpu.irqs_off:
                self._local.setdefault(cpu, []).append(action)
                k.cpu.irq_waiting = True
            else:
                with preempt.hardirq(k):
                    action()

    def _handle(self, action: Action) -> bool:
        """``__handle_irq_event_percpu()``: whether the handler says that the interrupt was its device's."""
        k = self.kernel
        returned: Any = IRQ_WAKE_THREAD
        self.handling.append(action)
        try:
            if action.handler is not None:
                with callbacks.Running(k, "__handle_irq_event_percpu", callbacks.handler_map(k, action.handler)):
                    returned = action.handler(action.irq, action.dev_id)
        finally:
            self.handling.pop()
        if not k.cpu.irqs_off:
            self._enabled_interrupts(action)
        if returned not in {IRQ_NONE, IRQ_HANDLED, IRQ_WAKE_THREAD, IRQ_HANDLED | IRQ_WAKE_THREAD}:
            self._bogus_return(action, returned)
            return True
        if returned & IRQ_WAKE_THREAD:
            self._wake_thread(action)
        return bool(returned != IRQ_NONE)

    def _enabled_interrupts(self, action: Action) -> None:
        k = self.kernel
        message = f"irq {action.irq} handler {action.function}+0x0/0x0 enabled interrupts"
        stacks = {"access": self.enabled_at or action.stack}
        key = ("irq-enabled", action.irq)
        k.warn(
            "irq-handler-enables-irqs",
            "kernel/irq/handle.c:161",
            "__handle_irq_event_percpu",
            message,
            stacks=stacks,
            key=key,
        )
        k.cpu.irqs_off = True

    def _bogus_return(self, action: Action, returned: Any) -> None:
        value = f"{returned & 0xFFFFFFFF:x}" if isinstance(returned, int) else repr(returned)
        self.kernel.report(
            "irq-handler-bad-return",
            f"irq event {action.irq}: bogus return value {value}",
            lines=[
                "handlers:",
                f"[<{self.kernel.layout.modules:016x}>] {action.function}",
            ],
            stacks={"access": spurious.handler_stack(action.handler) or action.stack, "requested": action.stack},
            key=("irq-return", action.irq),
        )

    def _wake_thread(self, action: Action) -> None:
        if action.task is None:
            self.kernel.log.write(
                f"genirq: IRQ {action.irq} device {action.name} returned IRQ_WAKE_THREAD but no thread function available."
            )
            return
        action.pending += 1
        self.kernel.sched.wake(action.task, TASK_INTERRUPTIBLE)

    def _thread(self, action: Action) -> int:
        """``irq_thread()``."""
        k = self.kernel
        while not kthread.should_stop(k):
            if action.pending:
                with callbacks.Running(k, "irq_thread_fn", callbacks.handler_map(k, action.thread_fn)):
                    action.thread_fn(action.irq, action.dev_id)
                action.pending = 0
            else:
                k.current.state = TASK_INTERRUPTIBLE
                k.sched.schedule(Wait(f"for interrupt {action.irq}"))
                k.current.state = TASK_RUNNING
        return 0
