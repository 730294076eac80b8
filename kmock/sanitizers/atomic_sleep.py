"""Sleeping where one must not (``CONFIG_DEBUG_ATOMIC_SLEEP``, ``kernel/sched/core.c``).

A caller says what it is about to do; what kind of mistake that makes depends on the context as well. One
atomic section that sleeps several times is one mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, PREEMPT_OFFSET, SOFTIRQ_OFFSET
from kmock.stack import user_frames

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.report import Report
    from kmock.stack import Stack

LONG_NSECS = 1_000_000
"""A millisecond: what the kernel's own latency tests call long."""
_TASK_RUNNING = 0
_ALLOC = "include/linux/sched/mm.h:274"
# Which lock of the kernel's own a call would wait for, where lockdep would speak of it.
_LOCKS = {
    "cache-create-atomic": "(slab_mutex){+.+.}-{3:3}",
    "percpu-alloc-atomic": "(pcpu_alloc_mutex){+.+.}-{3:3}",
    "usercopy-atomic": "(&mm->mmap_lock){++++}-{3:3}",
    "usercopy-irq-context": "(&mm->mmap_lock){++++}-{3:3}",
}
# What a mistake is called in a context, where that says more than what it is called in general.
_IN_CONTEXT = {
    ("alloc", "handler"): "alloc-gfp-kernel-in-hardirq",
    ("alloc", "hardirq"): "alloc-gfp-kernel-in-hardirq",
    ("alloc", "softirq"): "alloc-gfp-kernel-in-softirq",
    ("alloc", "kmap"): "kmap-atomic-sleep",
    ("alloc", "lock"): "alloc-gfp-kernel-under-spinlock",
    ("alloc", "rcu"): "alloc-gfp-kernel-in-rcu-read",
    ("alloc", "irqs"): "alloc-gfp-kernel-irqs-off",
    ("alloc", "pinned"): "percpu-sleep-while-pinned",
    ("sleep-in-atomic", "handler"): "irq-handler-sleeps",
    ("sleep-in-atomic", "kmap"): "kmap-atomic-sleep",
    ("sleep-in-atomic", "rcu"): "rcu-sleep-in-reader",
    ("sleep-in-atomic", "pinned"): "percpu-sleep-while-pinned",
    ("scheduled-while-atomic", "pinned"): "percpu-sleep-while-pinned",
    ("lock-sleeping-in-atomic", "pinned"): "percpu-sleep-while-pinned",
    ("scheduled-while-atomic", "handler"): "irq-handler-sleeps",
    ("scheduled-while-atomic", "kmap"): "kmap-atomic-sleep",
    ("scheduled-while-atomic", "rcu"): "rcu-sleep-in-reader",
    ("lock-sleeping-in-atomic", "handler"): "irq-handler-sleeps",
    ("lock-sleeping-in-atomic", "rcu"): "rcu-sleep-in-reader",
    ("usercopy-atomic", "handler"): "usercopy-irq-context",
    ("usercopy-atomic", "hardirq"): "usercopy-irq-context",
    ("usercopy-atomic", "softirq"): "usercopy-irq-context",
}


class AtomicSleep:
    """``might_sleep()`` and what it says."""

    __slots__ = ("_busy", "asked", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._busy: tuple[tuple[int, int], int] = ((0, 0), 0)
        """The atomic section that was busy last, by processor and number, and for how many nanoseconds."""
        self.asked = 0
        """How often somebody was about to sleep where one must not."""

    def busy(self, nsecs: int) -> None:
        """Lint: execution, which is atomic, is busy for ``nsecs``; spin locks that are held speak for themselves."""
        k = self.kernel
        cpu = k.cpu
        section = cpu.id, cpu.section
        total = nsecs + (self._busy[1] if self._busy[0] == section else 0)
        self._busy = section, total
        if total <= LONG_NSECS or any(held.lock.WAIT == 2 for held in k.current.held):
            return
        stack = k.capture()
        off = "interrupts" if cpu.irqs_off else "preemption"
        k.report(
            "atomic-section-too-long",
            f"BUG: kmock: atomic-section-too-long in {k.symbol(stack)}",
            lines=[f"{off} off for {total / 1_000_000:g} ms: nothing else ran on CPU {cpu.id} meanwhile"],
            stacks={"access": stack, "disabled": k.current.disabled_at},
            key=("long", section),
        )

    def might_sleep(self, at: str, kind: str = "sleep-in-atomic", lock: str = "") -> None:
        """Report if execution is atomic; ``at`` is the place in the kernel's source that asks.

        ``lock`` is lockdep's description of the lock that is to be taken, where it is one.
        """
        k = self.kernel
        cpu = k.cpu
        task = cpu.task
        if not k.config.atomic_sleep:
            return
        if task.non_block & task.NOT_RUNNING and not cpu.preempt_count & (HARDIRQ_MASK | SOFTIRQ_OFFSET):
            self._not_running(task)
        if not (cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block & ~task.NOT_RUNNING):
            return
        self.asked += 1
        kind = self.kind(kind, at)
        lock = lock or _LOCKS.get(kind, "")
        wait = k.lockdep.wait_context(task, lock) if lock else []
        self._say(kind, [*self._rcu_flavour(task), *self.invalid_context(at), *wait])

    def invalid_context(self, at: str) -> list[str]:
        """The lines of ``__might_resched()``."""
        cpu = self.kernel.cpu
        task = cpu.task
        return [
            f"BUG: sleeping function called from invalid context at {at}",
            (
                f"in_atomic(): {int(cpu.preempt_count != 0)}, irqs_disabled(): {int(cpu.irqs_off)}, "
                f"non_block: {task.non_block & ~task.NOT_RUNNING}, pid: {task.pid}, name: {task.comm}"
            ),
            f"preempt_count: {cpu.preempt_count:x}, expected: 0",
            f"RCU nest depth: {task.rcu_depth}, expected: 0",
            *self.kernel.lockdep.held_lines(task),
            *self._disabled_at(task),
        ]

    def scheduling(self) -> None:
        """``schedule_debug()``: the task is about to be switched out."""
        k = self.kernel
        cpu = k.cpu
        task = cpu.task
        if not k.config.atomic_sleep:
            return
        blocking_forbidden = task.non_block & ~task.NOT_RUNNING
        if cpu.preempt_count:
            first = f"BUG: scheduling while atomic: {task!r}/0x{cpu.preempt_count + PREEMPT_OFFSET:08x}"
        elif blocking_forbidden and task.state != _TASK_RUNNING:
            first = f"BUG: scheduling in a non-blocking section: {task!r}/{blocking_forbidden}"
        elif task.rcu_depth > 0:
            first = "Voluntary context switch within RCU read-side critical section!"
        elif cpu.irqs_off:
            first = f"BUG: kmock: scheduled-while-atomic in {k.symbol(k.capture())}"
        else:
            return
        self.asked += 1
        lines = [first]
        if task.rcu_depth > 0 and not cpu.preempt_count:
            lines.append(
                f"WARNING: CPU: {cpu.id} PID: {task.pid} at kernel/rcu/tree_plugin.h:320 rcu_note_context_switch+0x0/0x0"
            )
        else:
            lines += [*k.lockdep.held_lines(task), *self._disabled_at(task)]
        self._say(self.kind("scheduled-while-atomic"), lines)

    def kind(self, kind: str, at: str = "") -> str:
        """Name the mistake by what was to be done and by where that was."""
        if at == _ALLOC and (kind == "sleep-in-atomic" or kind.startswith("alloc-gfp-kernel")):
            return _IN_CONTEXT.get(("alloc", self._context()), "sleep-in-atomic")
        return _IN_CONTEXT.get((kind, self._context()), kind)

    def _context(self) -> str:
        cpu = self.kernel.cpu
        task = cpu.task
        if cpu.preempt_count & (HARDIRQ_MASK | NMI_MASK):
            return "handler" if self.kernel.irqs.handling else "hardirq"
        if cpu.preempt_count & SOFTIRQ_OFFSET:
            return "softirq"
        if cpu.preempt_count and task.pagefault_disabled:
            return "kmap"
        if any(held.lock.WAIT == 2 for held in task.held):
            return "lock"
        if task.rcu_depth and not cpu.preempt_count:
            return "rcu"
        if cpu.preempt_count and task.pins:
            return "pinned"
        return "irqs" if cpu.irqs_off else "preempt"

    def _say(self, kind: str, lines: list[str]) -> None:
        k = self.kernel
        cpu = k.cpu
        stacks: dict[str, Stack] = {"access": k.capture()}
        locks = [held for held in cpu.task.held if not held.is_map]
        if locks:
            stacks["taken"] = locks[-1].stack
        elif cpu.preempt_count & 0xFFFF or cpu.irqs_off:
            stacks["disabled"] = cpu.task.disabled_at
        key = ("atomic", cpu.id, cpu.section)
        first = k.reports.find(key)
        if first is not None and not k.reports.awaited(kind):
            # The kernel says it once a second. A call may also ask twice on its way down.
            now = _line(stacks["access"])
            again = f"{lines[0]} at {now}"
            if now != _line(first) and first.followed_by[-1:] != [again]:
                first.followed_by.append(again)
            if lines[0].startswith("BUG: scheduling"):
                k.log.write_all(lines)  # which __schedule_bug() says each time
            return
        k.report(kind, lines[0], lines=lines[1:], stacks=stacks, key=key, taint="W")

    def _not_running(self, task: Task) -> None:
        k = self.kernel
        set_at = user_frames(task.slept_at)
        place = set_at[0].symbol if set_at else "kmock+0x0/0x0"
        k.warn(
            "blocking-op-not-running",
            "kernel/sched/core.c:9944",
            "__might_sleep",
            f"do not call blocking ops when !TASK_RUNNING; state={task.state:x} set at [<{k.layout.modules:016x}>] {place}",
            stacks={"access": k.capture(), "disabled": task.slept_at},
            key=("not-running", task, task.blocked_since),
        )

    def _rcu_flavour(self, task: Task) -> list[str]:
        """``rcu_sleep_check()`` for the flavours that lockdep tells from bottom halves and preemption being off."""
        for held in task.held:
            if flavour := getattr(held.lock, "flavour", ""):
                return [
                    "WARNING: suspicious RCU usage",
                    "-----------------------------",
                    f"kernel/sched/core.c:9983 Illegal context switch in {flavour} read-side critical section!",
                    "rcu_scheduler_active = 2, debug_locks = 1",
                    *self.kernel.lockdep.held_lines(task),
                ]
        return []

    def _disabled_at(self, task: Task) -> list[str]:
        if not self.kernel.cpu.preempt_count or not (place := user_frames(task.disabled_at)):
            return []
        return ["Preemption disabled at:", f"[<{self.kernel.layout.modules:016x}>] {place[0].symbol}"]


def _line(about: Report | Stack) -> str:
    """``file:line`` of the driver."""
    found = user_frames(about if isinstance(about, tuple) else about.stacks["access"])
    return found[0].short if found else "?"
