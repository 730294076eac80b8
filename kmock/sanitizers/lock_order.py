"""What lockdep says of locks that are taken in a dangerous order, or in dangerous contexts.

Headlines and layouts are those of ``kernel/locking/lockdep.c``; below them the report has the driver's places where
each lock was taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.sanitizers import lock_usage
from kmock.sanitizers.lock_text import trace

if TYPE_CHECKING:
    from kmock.kernel.held import Held, Lock
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_chain import Chain
    from kmock.sanitizers.lock_class import LockClass
    from kmock.sanitizers.lock_graph import Step
    from kmock.sanitizers.lock_text import LockText
    from kmock.stack import Stack

_DEADLOCK = " *** DEADLOCK ***"
_TWO = ["       CPU0                    CPU1", "       ----                    ----"]
_RIGHT = " " * 31


def circular(dep: LockText, lock: Lock, chain: Chain, held: Held, way: Step) -> None:
    """``print_circular_bug()``: ``way`` leads from the wanted lock's class to that of the lock that is held.

    Where the tasks wait for each other already, they are told of as what they are: a deadlock.
    """
    k = dep.kernel
    if _closes_now(k, lock):
        return
    path = way.path()
    source, target = path[0].cls, path[-1].cls
    assert way.before is not None
    parent = way.before.cls
    stack = k.capture()
    existing = [
        line
        for depth in range(len(path) - 1, -1, -1)
        for line in (f"-> #{depth} {dep.describe_class(path[depth].cls)}:", *trace(_taken(path[depth], stack), 7))
    ]
    whys = [held.lock.cycle_kind(held.how), *(step.edge.why for step in path if step.edge is not None)]
    kind = next(filter(None, whys), "lock-order-inversion")
    if dep.told(("circular", target, source), stack):
        return
    headline = "WARNING: possible circular locking dependency detected"
    lines = [
        "------------------------------------------------------",
        f"{k.current!r} is trying to acquire lock:",
        dep.line_here(lock, source),
        "but task is already holding lock:",
        dep.line(held),
        "which lock already depends on the new lock.",
        "the existing dependency chain (in reverse order) is:",
        *existing,
        *_chain_exists(source, parent, target, direct=parent is source),
        " Possible unsafe locking scenario:",
        *_TWO,
        f"  {'rlock' if held.read else 'lock'}({target.name});",
        f"{_RIGHT}lock({parent.name});",
        f"{_RIGHT}lock({target.name});",
        f"  {'rlock' if chain.mode else 'lock'}({source.name});",
        _DEADLOCK,
        *dep.held_lines(k.current),
    ]
    if any(step.cls.unseen for step in path):
        headline, lines = _own(dep, kind, headline, lines)
    stacks = {"access": stack, "taken": held.stack} | _edges(path)
    about = dep.info(held.lock if not lock.WAIT else lock)
    report = k.report(kind, headline, lines=lines, stacks=stacks, key=("circular", target, source), object=about)
    if report is not None and kind != "lock-order-inversion":
        # Who reclaims, or runs a callback, may be the one that holds the lock.
        k.reports.also(report, ("lock-recursive", lock))


def recursive(dep: LockText, kind: str, lock: Lock, cls: LockClass, held: Held) -> None:
    """``print_deadlock_bug()``: a lock of this class is held already."""
    k = dep.kernel
    task = k.current
    stack = k.capture()
    if dep.told((kind, lock), stack):
        return
    headline = "WARNING: possible recursive locking detected"
    lines = [
        "--------------------------------------------",
        f"{task!r} is trying to acquire lock:",
        dep.line_here(lock, cls),
        "but task is already holding lock:",
        dep.line(held),
        " Possible unsafe locking scenario:",
        "       CPU0",
        "       ----",
        f"  lock({cls.name});",
        f"  lock({cls.name});",
        _DEADLOCK,
        " May be due to missing lock nesting notation",
        *dep.held_lines(task),
    ]
    if cls.unseen:
        headline, lines = _own(dep, kind, headline, lines)
    k.report(
        kind,
        headline,
        lines=lines,
        stacks={"access": stack, "taken": held.stack},
        key=(kind, lock),
        object=dep.info(lock),
    )


def inconsistent(dep: LockText, lock: Lock, cls: LockClass, new: int, old: int) -> None:
    """``print_usage_bug()``: the class was used in a context that clashes with this one."""
    k = dep.kernel
    soft = bool(lock_usage.writers(new) & (lock_usage.IN_SOFTIRQ | lock_usage.ON_SOFTIRQ))
    name = cls.name
    if dep.told(("inconsistent", cls, soft), cls.marks[new]):
        return
    k.report(
        "lock-softirq-unsafe" if soft else "lock-irq-unsafe",
        "WARNING: inconsistent lock state",
        lines=[
            "--------------------------------",
            f"inconsistent {{{lock_usage.name(old)}}} -> {{{lock_usage.name(new)}}} usage.",
            f"{dep.state_of_irqs(k.current)} takes:",
            dep.line_here(lock, cls),
            f"{{{lock_usage.name(old)}}} state was registered at:",
            *trace(cls.marks[old], 3),
            " Possible unsafe locking scenario:",
            "       CPU0",
            "       ----",
            f"  lock({name});",
            "  <Interrupt>",
            f"    lock({name});",
            _DEADLOCK,
            *dep.held_lines(k.current),
        ],
        stacks={"access": cls.marks[new], "taken": cls.marks[old]},
        key=("inconsistent", cls, soft),
        object=dep.info(lock),
    )


def bad_irq_dependency(dep: LockText, lock: Lock, held: Held, safe: Step, unsafe: Step) -> None:
    """``print_bad_irq_dependency()``: a lock taken in interrupts would come to wait for one that they interrupt.

    ``safe`` was reached backwards from the lock that is held, ``unsafe`` forwards from the wanted one.
    """
    k = dep.kernel
    bit, other = lock_usage.clash_of(safe.cls.usage, unsafe.cls.usage)
    irq = lock_usage.state_name(bit)
    assert held.cls is not None
    wanted = unsafe.path()[0].cls
    stack = k.capture()
    k.report(
        lock.cycle_kind("") or "lock-irq-inversion",
        f"WARNING: {irq}-safe -> {irq}-unsafe lock order detected",
        lines=[
            "-----------------------------------------------------",
            f"{dep.state_of_irqs(k.current)} is trying to acquire:",
            dep.line_here(lock, wanted),
            "and this task is already holding:",
            dep.line(held),
            "which would create a new lock dependency:",
            f" {dep.describe_class(held.cls)} -> {dep.describe_class(wanted)}",
            f"but this new dependency connects a {irq}-irq-safe lock:",
            f" {dep.describe_class(safe.cls)}",
            f"... which became {irq}-irq-safe at:",
            *trace(safe.cls.marks[bit], 2),
            f"to a {irq}-irq-unsafe lock:",
            f" {dep.describe_class(unsafe.cls)}",
            f"... which became {irq}-irq-unsafe at:",
            *trace(unsafe.cls.marks[other], 2),
            *_irq_scenario(safe.cls, unsafe.cls, wanted if held.cls is safe.cls else held.cls),
            *dep.held_lines(k.current),
        ],
        stacks={
            "access": stack,
            "taken": held.stack,
            f"{safe.cls.name} {lock_usage.name(bit)}": safe.cls.marks[bit],
            f"{unsafe.cls.name} {lock_usage.name(other)}": unsafe.cls.marks[other],
        },
        key=("irq-order", safe.cls, unsafe.cls),
        object=dep.info(lock),
    )


def irq_inversion(dep: LockText, lock: Lock, cls: LockClass, bit: int, other: Step) -> None:
    """``print_irq_inversion_bug()``: by a new way of using the class, ``bit``, an order seen before is dangerous now.

    ``other`` is the lock at the other end of that order.
    """
    k = dep.kernel
    forwards = bool(bit & lock_usage.ALL_IN)
    against = lock_usage.writers(lock_usage.flipped(bit))
    mark = against if other.cls.usage & against else against << lock_usage.READ
    irq = lock_usage.state_name(mark)
    path = other.path()
    middle = path[1].cls
    pair = (cls, other.cls, middle) if forwards else (other.cls, cls, middle)
    took = f"took another, {irq}-unsafe" if forwards else f"was taken by another, {irq}-safe"
    k.report(
        "lock-irq-inversion",
        "WARNING: possible irq lock inversion dependency detected",
        lines=[
            "--------------------------------------------------------",
            f"{k.current!r} just changed the state of lock:",
            dep.line_here(lock, cls),
            f"but this lock {took} lock in the past:",
            f" {dep.describe_class(other.cls)}",
            "and interrupts could create inverse lock ordering between them.",
            *_irq_scenario(*pair),
            *dep.held_lines(k.current),
            "the shortest dependencies between 2nd lock and 1st lock:",
            *(line for step in path[:0:-1] for line in _dependency(dep, step)),
        ],
        stacks={"access": cls.marks[bit], f"{other.cls.name} {lock_usage.name(mark)}": other.cls.marks[mark]}
        | _edges(path),
        key=("irq-order", pair[0], pair[1]),
        object=dep.info(lock),
    )


def nest_lock_missing(dep: LockText, lock: Lock, cls: LockClass, nest: Lock) -> None:
    """``print_lock_nested_lock_not_held()``."""
    k = dep.kernel
    k.report(
        "lock-nested-unannotated",
        "WARNING: Nested lock was not taken",
        lines=[
            "----------------------------------",
            f"{k.current!r} is trying to lock:",
            dep.line_here(lock, cls),
            "but this task is not holding:",
            dep.name(nest),
            *dep.held_lines(k.current),
        ],
        key=("nest", lock),
        object=dep.info(lock),
    )


def _own(dep: LockText, kind: str, headline: str, lines: list[str]) -> tuple[str, list[str]]:
    """Headline and lines where Linux has no map for what is waited for, and so says nothing."""
    return f"BUG: kmock: {kind} in {dep.here()}", [headline, *lines]


def _closes_now(k: Kernel, lock: Lock) -> bool:
    """Whether who holds ``lock`` waits, itself or by others, for the task that is about to wait for it."""
    wanted, seen = [lock], {k.current}
    while wanted:
        state = wanted.pop().of(k)
        for held in [state.owner] if state.owner is not None else state.readers:
            if held.task is k.current:
                return state is not lock.of(k)
            wait = held.task.wait
            if held.task not in seen and wait is not None and wait.lock is not None:
                seen.add(held.task)
                wanted.append(wait.lock)
    return False


def _taken(step: Step, now: Stack) -> Stack:
    return step.edge.stack if step.edge is not None else now


def _edges(path: list[Step]) -> dict[str, Stack]:
    """Where each lock on the path was taken inside the one before."""
    edges = [step.edge for step in path if step.edge is not None]
    stacks = {f"{edge.second.name} taken inside {edge.first.name}": edge.stack for edge in edges}
    return stacks | {f"{edge.first.name} taken": edge.outer for edge in edges[:1] if not edge.why}


def _dependency(dep: LockText, step: Step) -> list[str]:
    edge = step.edge
    assert edge is not None
    arrow = f" -> {dep.describe_class(edge.first)} -> {dep.describe_class(edge.second)}"
    return [arrow, "  ... acquired at:", *trace(edge.stack, 3)]


def _chain_exists(first: LockClass, middle: LockClass, last: LockClass, *, direct: bool) -> list[str]:
    return [] if direct else ["Chain exists of:", f"  {first.name} --> {middle.name} --> {last.name}"]


def _irq_scenario(safe: LockClass, unsafe: LockClass, middle: LockClass) -> list[str]:
    """``print_irq_lock_scenario()``."""
    return [
        *_chain_exists(safe, middle, unsafe, direct=middle is unsafe),
        " Possible interrupt unsafe locking scenario:",
        *_TWO,
        f"  lock({unsafe.name});",
        f"{_RIGHT}local_irq_disable();",
        f"{_RIGHT}lock({safe.name});",
        f"{_RIGHT}lock({middle.name});",
        "  <Interrupt>",
        f"    lock({safe.name});",
        _DEADLOCK,
    ]
