"""``preempt_count`` and the contexts it tells apart (``include/linux/preempt.h``, ``kernel/sched/core.c``).

Execution is atomic while the count is not zero, interrupts are off, or the task reads under RCU. Each
stretch of atomic execution has a serial number, ``cpu.section``: what goes wrong twice in one is told once.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kmock.hw.cpu import (
    HARDIRQ_MASK,
    HARDIRQ_OFFSET,
    NMI_MASK,
    NMI_OFFSET,
    PREEMPT_MASK,
    PREEMPT_OFFSET,
    SOFTIRQ_DISABLE_OFFSET,
    SOFTIRQ_MASK,
    SOFTIRQ_OFFSET,
)
from kmock.stack import capture, user_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.kernel.held import Lock
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.stack import Stack

X86_EFLAGS_IF = 0x200
_FIXED_FLAGS = 0x46  # what the other bits of EFLAGS usually are: PF, ZF and the reserved bit
_ALWAYS_SET = 0x2
_CORE = "kernel/sched/core.c:5750"


class Flags(int):
    """``unsigned long flags``: saved EFLAGS that remember who saved them."""

    lock: Lock | None = None
    """The lock whose ``spin_lock_irqsave`` returned them, None for ``local_irq_save``."""
    task: Task | None = None
    """The task that saved them."""


def begin_section(k: Kernel) -> None:
    """Note that execution becomes atomic, if it wasn't: a new section, with a cause of its own."""
    cpu = k.cpu
    task = cpu.task
    if not (cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block):
        cpu.sections += 1
        cpu.section = cpu.sections


# -- preemption and bottom halves -----------------------------------------------------------------------


def preempt_disable(k: Kernel) -> None:
    """``preempt_disable()``."""
    begin_section(k)
    if not k.cpu.preempt_count:
        k.cpu.task.disabled_at = capture(2)
    k.cpu.preempt_count += PREEMPT_OFFSET


def preempt_enable(k: Kernel) -> None:
    """``preempt_enable()``; one too many is reported and not counted."""
    if k.cpu.preempt_count & PREEMPT_MASK:
        k.cpu.preempt_count -= PREEMPT_OFFSET
    else:
        underflow(k, "preempt-underflow")


def underflow(k: Kernel, kind: str) -> None:
    """``preempt_count_sub()`` of more than there is."""
    k.warn(
        kind, _CORE, "preempt_count_sub", "DEBUG_LOCKS_WARN_ON(val > preempt_count())", key=(k.cpu.id, k.cpu.section)
    )


def local_bh_disable(k: Kernel) -> None:
    """``local_bh_disable()``."""
    begin_section(k)
    if not k.cpu.preempt_count:
        k.cpu.task.disabled_at = capture(2)
    k.cpu.preempt_count += SOFTIRQ_DISABLE_OFFSET


def local_bh_enable(k: Kernel) -> None:
    """``local_bh_enable()``: not for hard interrupts, nor with interrupts off (``kernel/softirq.c``)."""
    cpu = k.cpu
    if cpu.irqs_off or cpu.preempt_count & HARDIRQ_MASK:
        at = "kernel/softirq.c:393" if cpu.preempt_count & HARDIRQ_MASK else "kernel/softirq.c:401"
        k.warn("bh-imbalance", at, "__local_bh_enable_ip", key=(cpu.id, cpu.section))
    if cpu.preempt_count & (SOFTIRQ_MASK & ~SOFTIRQ_OFFSET):
        cpu.preempt_count -= SOFTIRQ_DISABLE_OFFSET
        if cpu.task.held:
            k.lockdep.irqs_on(cpu.task)
        if cpu.softirq_pending:
            k.softirqs.leave()
    else:
        underflow(k, "bh-imbalance")


# -- interrupts -----------------------------------------------------------------------------------------


def local_irq_disable(k: Kernel) -> None:
    """``local_irq_disable()``."""
    begin_section(k)
    if not k.cpu.irqs_off:
        k.cpu.task.disabled_at = capture(2)
    k.cpu.irqs_off = True


def local_irq_enable(k: Kernel) -> None:
    """``local_irq_enable()``: whoever turned interrupts off above must not be surprised."""
    for held in reversed(k.cpu.task.held):
        if held.how.endswith(("_irqsave", "_irq")):
            report = k.report(
                "irqs-enabled-inside-irqsave",
                f"BUG: kmock: irqs-enabled-inside-irqsave in {k.symbol(k.capture())}",
                lines=[f"{k.lockdep.line(held)} was taken by {held.how}() and is still held"],
                stacks={"access": k.capture(), "taken": held.stack},
                key=("irqs-on", k.cpu.id, k.cpu.section),
                object=k.lockdep.info(held.lock),
            )
            if report is not None:
                # That an interrupt may now come for the lock follows from it.
                k.reports.also(report, ("inconsistent", held.cls, False), ("inconsistent", held.cls, True))
            break
    irqs_on(k)


def irqs_on(k: Kernel) -> None:
    """Turn interrupts on; what was raised meanwhile comes in."""
    cpu = k.cpu
    cpu.irqs_off = False
    if cpu.task.held:
        k.lockdep.irqs_on(cpu.task)
    if cpu.preempt_count & HARDIRQ_MASK:
        k.irqs.enabled_at = k.capture()
    elif cpu.irq_waiting:
        k.irqs.deliver_waiting()


def save_flags(k: Kernel) -> Flags:
    """``local_save_flags()``: EFLAGS, with IF set while interrupts are on."""
    flags = Flags(_FIXED_FLAGS if k.cpu.irqs_off else _FIXED_FLAGS | X86_EFLAGS_IF)
    flags.task = k.cpu.task
    return flags


def local_irq_save(k: Kernel) -> Flags:
    """``local_irq_save(flags)``: the flags come back."""
    flags = save_flags(k)
    local_irq_disable(k)
    return flags


def local_irq_restore(k: Kernel, flags: int) -> None:
    """``local_irq_restore(flags)``: the flags this task saved."""
    if not flags & _ALWAYS_SET:
        _wrong_flags(k, "lock-flags-uninit", "no flags were ever saved there: bit 1 of EFLAGS is always set")
    elif isinstance(flags, Flags) and flags.task is not k.cpu.task:
        _wrong_flags(k, "lock-flags-other-context", f"{flags.task!r} saved the flags, {k.cpu.task!r} restores them")
    if flags & X86_EFLAGS_IF:
        irqs_on(k)
    else:
        k.cpu.irqs_off = True


def _wrong_flags(k: Kernel, kind: str, line: str) -> None:
    headline = f"BUG: kmock: {kind} in {k.symbol(k.capture())}"
    k.report(kind, headline, lines=[line], key=("flags", k.cpu.id, k.cpu.section))


# -- page faults, migration, sections that must not block -------------------------------------------------


def pagefault_disable(k: Kernel) -> None:
    """``pagefault_disable()``: faults are not handled, so user copies fail instead of sleeping."""
    k.current.pagefault_disabled += 1


def pagefault_enable(k: Kernel) -> None:
    """``pagefault_enable()``."""
    k.current.pagefault_disabled -= 1


def non_block_start(k: Kernel) -> None:
    """``non_block_start()``: blocking is a mistake from here on (``include/linux/kernel.h``)."""
    begin_section(k)
    k.current.non_block += 1


def non_block_end(k: Kernel) -> None:
    """``non_block_end()``: WARN if nobody started."""
    if not blocking_forbidden(k.current):
        # The macro's WARN_ON stands in the driver's own line.
        place = user_frames(k.capture())
        at, function = (place[0].short, place[0].function) if place else ("kernel.h", "non_block_end")
        k.warn("preempt-underflow", at, function, key=("non_block", k.current))
        return
    k.current.non_block -= 1


# -- what context this is ---------------------------------------------------------------------------------


def preempt_count(k: Kernel) -> int:
    """``preempt_count()``; without CONFIG_PREEMPT a driver does not see its preemption part."""
    count = k.cpu.preempt_count
    return count if k.config.preempt else count & ~PREEMPT_MASK


def in_task(k: Kernel) -> bool:
    """``in_task()``: no NMI, no hard interrupt, no softirq being served."""
    return not k.cpu.preempt_count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_OFFSET)


def in_interrupt(k: Kernel) -> int:
    """``in_interrupt()``: also true with bottom halves merely off."""
    return k.cpu.preempt_count & (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK)


def preemptible(k: Kernel) -> bool:
    """``preemptible()``."""
    return not k.cpu.preempt_count and not k.cpu.irqs_off


def blocking_forbidden(task: Task) -> int:
    """``current->non_block_count``."""
    return task.non_block & ~task.NOT_RUNNING


def smp_processor_id(k: Kernel) -> int:
    """``debug_smp_processor_id()``: where the task may be moved meanwhile, the number says nothing."""
    check_preemption_disabled(k, "smp-id-preemptible", "smp_processor_id", "debug_smp_processor_id")
    return k.cpu.id


def check_preemption_disabled(k: Kernel, kind: str, what: str, caller: str) -> None:
    """``check_preemption_disabled()``: report what depends on this processor where the task may be moved to another."""
    cpu = k.cpu
    task = cpu.task
    if not cpu.preempt_count and not cpu.irqs_off and not task.migrate_disabled and len(k.cpus) > 1:
        stack = k.capture()
        k.report(
            kind,
            f"BUG: using {what}() in preemptible [00000000] code: {task!r}",
            lines=[f"caller is {caller}+0x0/0x0"],
            stacks={"access": stack},
            key=("smp-id", driver_line(stack)),
        )


def driver_line(stack: Stack) -> object:
    """What tells one line of the driver from another."""
    found = user_frames(stack)
    return (found[0].file, found[0].line) if found else None


# -- being in a context -----------------------------------------------------------------------------------


@contextmanager
def hardirq(k: Kernel) -> Iterator[None]:
    """Run the block as a hard interrupt handler: ``irq_enter()`` to ``irq_exit()``, interrupts off."""
    with _interrupt(k, HARDIRQ_OFFSET, irqs_off=True):
        yield
    if k.cpu.softirq_pending:
        k.softirqs.leave()


@contextmanager
def softirq(k: Kernel) -> Iterator[None]:
    """Run the block as a softirq handler, interrupts on; what it raised is served after it."""
    with serving_softirq(k):
        yield
    if k.cpu.softirq_pending:
        k.softirqs.leave()


@contextmanager
def serving_softirq(k: Kernel) -> Iterator[None]:
    """Run the block as one softirq handler of several."""
    with _interrupt(k, SOFTIRQ_OFFSET, irqs_off=False):
        yield


@contextmanager
def nmi(k: Kernel) -> Iterator[None]:
    """Run the block as an NMI handler (``nmi_enter()``)."""
    with _interrupt(k, NMI_OFFSET + HARDIRQ_OFFSET, irqs_off=True):
        yield


@contextmanager
def _interrupt(k: Kernel, offset: int, *, irqs_off: bool) -> Iterator[None]:
    from kmock.kernel.balance import check_interrupt  # noqa: PLC0415 -- the checks know the contexts, not these them

    cpu = k.cpu
    task = cpu.task
    explorer = k.explorer
    if explorer is not None:
        explorer.enter_interrupt(offset)
    before = cpu.preempt_count, cpu.irqs_off, cpu.section
    entered = cpu.preempt_count = before[0] + offset
    cpu.irqs_off = irqs_off
    cpu.sections += 1
    cpu.section = cpu.sections
    held = len(task.held)
    try:
        yield
        check_interrupt(k, task, entered, held)
    finally:
        cpu.preempt_count, cpu.irqs_off, cpu.section = before
        if explorer is not None:
            explorer.leave_interrupt()
    if cpu.irq_waiting and not cpu.irqs_off:
        k.irqs.deliver_waiting()


@contextmanager
def on_cpu(k: Kernel, n: int) -> Iterator[None]:
    """Run the block as what CPU ``n`` does meanwhile, in a process context of its own."""
    before, cpu = k.cpu, k.cpus[n]
    displaced = cpu.task, cpu.preempt_count, cpu.irqs_off
    if cpu.task is not cpu.own:
        cpu.task = cpu.own
        cpu.preempt_count, cpu.irqs_off = cpu.own.saved
    k.cpu = cpu
    try:
        yield
    finally:
        k.cpu = before
        if displaced[0] is not cpu.own:
            cpu.own.saved = cpu.preempt_count, cpu.irqs_off
            cpu.task, cpu.preempt_count, cpu.irqs_off = displaced
