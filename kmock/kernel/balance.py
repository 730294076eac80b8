"""What must be as it was when code returns: preempt_count, interrupts, locks.

The kernel looks at the end of system calls (``kernel/entry/common.c``), initcalls (``init/main.c``),
softirqs (``kernel/softirq.c``) and threads; here the end of an interrupt and of the test are looked at too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.hw.cpu import HARDIRQ_MASK, PREEMPT_OFFSET, SOFTIRQ_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kmock.hw.cpu import Cpu
    from kmock.kernel.held import Held
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.stack import Stack

TASKLET_SOFTIRQ = 6
_EXIT_PLACE = "include/linux/cgroup-defs.h:771"
_WORK_PLACE = "kernel/workqueue.c:2318"


def check_interrupt(k: Kernel, task: Task, entered: int, held: int) -> None:
    """An interrupt handler returns that was entered with preempt_count ``entered`` and ``held`` locks."""
    cpu = k.cpu
    if len(task.held) > held:
        _held_at_return(k, task, task.held[held:])
        return
    if cpu.preempt_count == entered:
        return
    if entered & HARDIRQ_MASK:
        headline = f"BUG: kmock: preempt-imbalance in {k.symbol(_blame(k, task))}"
        lines = [f"hard interrupt entered with preempt_count {entered:08x}, exited with {cpu.preempt_count:08x}"]
    else:
        headline = (
            f"softirq: huh, entered softirq {TASKLET_SOFTIRQ} TASKLET {k.layout.image:016x} "
            f"with preempt_count {entered:08x}, exited with {cpu.preempt_count:08x}?"
        )
        lines = []
    stacks = {"access": _blame(k, task)}
    k.report(imbalance(task), headline, lines=lines, stacks=stacks, key=("imbalance", cpu.id, cpu.section))


def call_atomic(k: Kernel, function: Any, arg: Any, complaint: Callable[[int, int], tuple[str, list[str]]]) -> None:
    """Call ``function(arg)`` of a timer or tasklet. What it leaves behind is reported and put right.

    ``complaint`` makes headline and lines of preempt_count before and after.
    """
    cpu = k.cpu
    task = cpu.task
    cpu.sections += 1
    cpu.section = cpu.sections
    entered, held, depth = cpu.preempt_count, len(task.held), task.rcu_depth
    try:
        function(arg)
        headline, lines = complaint(entered, cpu.preempt_count)
        if len(task.held) > held:
            _held_at_return(k, task, task.held[held:], headline if cpu.preempt_count != entered else "", lines)
        elif cpu.preempt_count != entered:
            _unbalanced(k, "preempt-imbalance", headline, lines)
        elif task.rcu_depth != depth:
            _unbalanced(k, "rcu-unbalanced", "", [f"{function.__name__}() left rcu_read_lock() {task.rcu_depth} deep"])
        elif cpu.irqs_off:
            _unbalanced(k, "irqs-left-disabled", "", [f"{function.__name__}() returned with interrupts off"])
    finally:
        del task.held[held:]
        cpu.preempt_count, cpu.irqs_off, task.rcu_depth = entered, False, depth


def check_work(k: Kernel, function: Any) -> None:
    """A work item's function returned to its worker (``process_one_work()``)."""
    cpu = k.cpu
    task = cpu.task
    count = cpu.preempt_count
    last = getattr(function, "__name__", "function")
    leaked = [
        f"BUG: workqueue leaked lock or atomic: {task.comm}/0x{count:08x}/{task.pid}",
        f"     last function: {last}",
    ]
    if task.held:
        _held_at_return(k, task, task.held, leaked[0], leaked[1:])
    elif count:
        sleeping = k.atomic_sleep.invalid_context(_WORK_PLACE)
        scheduling = f"BUG: scheduling while atomic: {task!r}/0x{count + PREEMPT_OFFSET:08x}"
        _unbalanced(k, "preempt-imbalance", leaked[0], [*leaked[1:], *sleeping, scheduling])
    elif task.rcu_depth:
        _unbalanced(k, "rcu-unbalanced", leaked[0], leaked[1:])
    elif cpu.irqs_off:
        headline, *lines = k.atomic_sleep.invalid_context(_WORK_PLACE)
        _unbalanced(k, "irqs-left-disabled", headline, lines)
    _put_right(cpu)


def _unbalanced(k: Kernel, kind: str, headline: str, lines: list[str]) -> None:
    stack = _blame(k, k.current)
    k.report(
        kind,
        headline or f"BUG: kmock: {kind} in {k.symbol(stack)}",
        lines=lines,
        stacks={"access": stack},
        key=("imbalance", k.cpu.id, k.cpu.section),
        taint="W",
    )


def check_syscall_exit(k: Kernel, number: int) -> None:
    """System call ``number`` returns to user space. What it left behind is reported and put right."""
    cpu = k.cpu
    task = cpu.task
    if cpu.irqs_off:
        k.warn(
            "irqs-left-disabled",
            "kernel/entry/common.c:276",
            "syscall_exit_to_user_mode_prepare",
            f"syscall {number} left IRQs disabled",
            stacks={"access": _blame(k, task)},
            key=("imbalance", cpu.id, cpu.section),
        )
    if task.held or task.rcu_depth:
        _held_at_user_return(k, task)
    elif cpu.preempt_count:
        _left_atomic(k, task)
    _put_right(cpu)


def check_initcall(k: Kernel, symbol: str) -> None:
    """A module's init function returns; ``symbol`` is ``function+0x0/0x0 [module]``."""
    cpu = k.cpu
    wrong = "preemption imbalance " * bool(cpu.preempt_count) + "disabled interrupts " * cpu.irqs_off
    if not wrong:
        return
    k.warn(
        imbalance(cpu.task) if cpu.preempt_count else "irqs-left-disabled",
        "init/main.c:1284",
        "do_one_initcall",
        f"initcall {symbol} returned with {wrong}",
        stacks={"access": _blame(k, cpu.task)},
        key=("imbalance", cpu.id, cpu.section),
    )
    _put_right(cpu)


def check_thread_exit(k: Kernel, task: Task) -> None:
    """A kernel thread's function returned."""
    if task.held:
        _held_at_exit(k, task, task.held)
    elif k.cpu.preempt_count:
        _left_atomic(k, task)
    elif k.cpu.irqs_off:
        k.report(
            "irqs-left-disabled",
            f"BUG: kmock: irqs-left-disabled in {k.symbol(task.disabled_at)}",
            lines=[f"thread {task!r} ended with interrupts off"],
            stacks={"access": _blame(k, task)},
            key=("imbalance", k.cpu.id, k.cpu.section),
        )
    _put_right(k.cpu)


class Balance:
    """Looks, when the test's call and when the machine ends, whether all is as it was before."""

    __slots__ = ("_before", "excused", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._before: dict[Cpu, tuple[int, bool, int]] = {}
        """preempt_count, irq flag and RCU depth of each processor when the call began."""
        self.excused = False
        """Whether a task was stopped in its tracks: what it left behind is not its fault."""

    def begin_call(self) -> None:
        """The test's call begins: what its fixtures hold by now is not charged to it."""
        self._before = {cpu: _standing(cpu) for cpu in self.kernel.cpus.made}

    def end_call(self) -> None:
        """The call is over: what it took has to be given back."""
        for cpu in self.kernel.cpus.made:
            held = [held for held in cpu.own.held if held.phase == "call"]
            self._check(cpu, held, self._before.get(cpu, _AT_REST))

    def finish(self) -> None:
        """The machine stops: nothing may be held, nobody may wait for ever."""
        for cpu in self.kernel.cpus.made:
            self._check(cpu, cpu.own.held, _AT_REST)
            cpu.own.held.clear()
            cpu.own.rcu_depth = 0
            _put_right(cpu)
        if "sched" in vars(self.kernel) and not self.excused:
            self.kernel.sched.finish()

    def _check(self, cpu: Cpu, held: list[Held], before: tuple[int, bool, int]) -> None:
        if self.excused or self.kernel.oopses:
            return
        count, irqs_off, depth = _standing(cpu)
        # One that was destroyed while it was held has been told of.
        held = [one for one in held if not one.lock.of(self.kernel).destroyed]
        if held:
            _held_at_exit(self.kernel, cpu.own, held)
        elif depth != before[2]:
            self._say(cpu, "rcu-unbalanced", f"{cpu.own!r} is still {depth} deep in rcu_read_lock()")
        elif count & ~SOFTIRQ_MASK != before[0] & ~SOFTIRQ_MASK:
            self._say(cpu, imbalance(cpu.own), f"preempt_count was {before[0]:08x} and is {count:08x}")
        elif count != before[0]:
            self._say(cpu, "bh-imbalance", f"preempt_count was {before[0]:08x} and is {count:08x}")
        elif irqs_off and not before[1]:
            self._say(cpu, "irqs-left-disabled", "interrupts are off")

    def _say(self, cpu: Cpu, kind: str, line: str) -> None:
        k = self.kernel
        stack = cpu.own.disabled_at or k.capture()
        k.report(
            kind,
            f"BUG: kmock: {kind} in {k.symbol(stack)}",
            lines=[f"CPU {cpu.id}: {line}"],
            stacks={"access": stack},
            key=("imbalance", cpu.id, cpu.section),
        )


_AT_REST = (0, False, 0)


def _standing(cpu: Cpu) -> tuple[int, bool, int]:
    task = cpu.own
    count, irqs_off = (cpu.preempt_count, cpu.irqs_off) if cpu.task is task else task.saved
    return count, irqs_off, task.rcu_depth


def _put_right(cpu: Cpu) -> None:
    cpu.preempt_count = 0
    cpu.irqs_off = False
    cpu.task.rcu_depth = 0
    cpu.task.pins = 0


def imbalance(task: Task) -> str:
    """Kind of report for preemption being left off: by a per-CPU variable that was not put, where there is one."""
    return "percpu-get-put-imbalance" if task.pins else "preempt-imbalance"


def _blame(k: Kernel, task: Task) -> Stack:
    """Where it became atomic, as far as that is known."""
    return task.disabled_at or k.capture()


def _left_atomic(k: Kernel, task: Task) -> None:
    """A task goes with preempt_count raised: the kernel stumbles over it in do_exit() and the scheduler."""
    cpu = k.cpu
    count = cpu.preempt_count
    headline, *lines = k.atomic_sleep.invalid_context(_EXIT_PLACE)
    k.report(
        imbalance(task) if count & ~SOFTIRQ_MASK else "bh-imbalance",
        headline,
        lines=[*lines, f"BUG: scheduling while atomic: {task!r}/0x{count + PREEMPT_OFFSET:08x}"],
        stacks={"access": _blame(k, task)},
        key=("imbalance", cpu.id, cpu.section),
        taint="W",
    )


def _held_at_user_return(k: Kernel, task: Task) -> None:
    stacks = _taken(task.held) if task.held else {"access": task.slept_at or k.capture()}
    k.report(
        "lock-held-at-return" if task.held else "rcu-unbalanced",
        "WARNING: lock held when returning to user space!",
        lines=[
            "------------------------------------------------",
            f"{task!r} is leaving the kernel with locks still held!",
            *k.lockdep.held_lines(task),
        ],
        stacks=stacks,
        key=("held", task.held[0].lock) if task.held else ("rcu", task),
    )


def _held_at_return(k: Kernel, task: Task, held: Sequence[Held], headline: str = "", lines: Sequence[str] = ()) -> None:
    said = lines or [f"an interrupt handler of {task!r} returned with a lock still held"]
    k.report(
        "lock-held-at-return",
        headline or f"BUG: kmock: lock-held-at-return in {held[0].place}",
        lines=[*said, *k.lockdep.held_lines(task)],
        stacks=_taken(held),
        key=("held", held[0].lock),
        object=k.lockdep.info(held[0].lock),
    )


def _held_at_exit(k: Kernel, task: Task, held: Sequence[Held]) -> None:
    k.report(
        "lock-held-at-exit",
        f"WARNING: {task!r} still has locks held!",
        lines=["------------------------------------", *k.lockdep.held_lines(task)],
        stacks=_taken(held),
        key=("held", held[0].lock),
        object=k.lockdep.info(held[0].lock),
    )


def _taken(held: Sequence[Held]) -> dict[str, Stack]:
    """The stacks of where the locks were taken, the first as the place to blame."""
    return {"access": held[0].stack} | {f"taken {n}": h.stack for n, h in enumerate(held[1:], 2)}
