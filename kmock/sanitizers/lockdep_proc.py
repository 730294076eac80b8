"""``/proc/lockdep``, ``/proc/lockdep_chains`` and ``/proc/lockdep_stats`` (``kernel/locking/lockdep_proc.c``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from kmock.sanitizers import lock_usage
from kmock.sanitizers.lock_graph import BACKWARDS, FORWARDS, walk
from kmock.sanitizers.lock_usage import IN_HARDIRQ, IN_SOFTIRQ, ON_HARDIRQ, ON_SOFTIRQ, READ

if TYPE_CHECKING:
    from kmock.fs.files import KernelFiles
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_chain import Chain
    from kmock.sanitizers.lock_class import LockClass
    from kmock.sanitizers.lock_graph import Direction

# kernel/locking/lockdep_internals.h
_MAX_KEYS: Final = 8192
_MAX_ENTRIES: Final = 32768
_MAX_CHAINS: Final = 65536
_MAX_CHAIN_HLOCKS: Final = 5 * _MAX_CHAINS
_CONTEXTS: Final = ("0", "softirq", "hardirq", "hardirq|softirq")
_STATES: Final = (("hardirq", IN_HARDIRQ), ("softirq", IN_SOFTIRQ), ("irq", IN_HARDIRQ | IN_SOFTIRQ))


def attach(files: KernelFiles) -> None:
    """Add the files."""
    files.add("/proc/lockdep", read=partial(classes, files.kernel))
    files.add("/proc/lockdep_chains", read=partial(chains, files.kernel))
    files.add("/proc/lockdep_stats", read=partial(stats, files.kernel))


def classes(k: Kernel) -> str:
    """Every class: how many can come inside and around it, its usage, and what comes right inside."""
    lines = ["all lock classes:"]
    for cls in k.lockdep.classes.values():
        ahead, behind = _reach(cls, FORWARDS), _reach(cls, BACKWARDS)
        lines.append(f"{_key(k, cls)} FD:{ahead:5d} BD:{behind:5d} {cls.letters}: {cls.name}")
        lines += [f" -> [{_key(k, other)}] {other.name}" for other, edge in cls.after.items() if edge.direct]
        lines.append("")
    return "\n".join(lines) + "\n"


def chains(k: Kernel) -> str:
    """Every chain of locks that was held at a time, outermost first."""
    lines = ["all lock chains:"]
    for chain in _chains(k):
        lines.append(f"irq_context: {_CONTEXTS[chain[0].context]}")
        lines += [f"[{_key(k, link.cls)}] {link.cls.name}" for link in chain]
        lines.append("")
    return "\n".join(lines) + "\n"


def stats(k: Kernel) -> str:
    """Counts of classes, orders and chains."""
    known = list(k.lockdep.classes.values())
    direct = 2 * sum(len(cls.after) for cls in known)
    held = _chains(k)
    by_context = [sum(chain[0].context == context for chain in held) for context in range(4)]
    process, soft, hard = by_context[0], by_context[1], by_context[2] + by_context[3]
    unsafe = [_with(known, ON_HARDIRQ | ON_SOFTIRQ), _with(known, ON_HARDIRQ)]
    safe = [_with(known, IN_HARDIRQ | IN_SOFTIRQ), _with(known, IN_HARDIRQ)]
    rows = [
        _row("lock-classes", len(known), _MAX_KEYS),
        _row("direct dependencies", direct, _MAX_ENTRIES),
        _row("indirect dependencies", sum(_reach(cls, FORWARDS) for cls in known)),
        _row("all direct dependencies", sum(a * b for a, b in zip(unsafe, safe, strict=True)) + direct),
        _row("dependency chains", len(held), _MAX_CHAINS),
        _row("dependency chain hlocks used", sum(map(len, held)), _MAX_CHAIN_HLOCKS),
        _row("dependency chain hlocks lost", 0),
        _row("in-hardirq chains", hard),
        _row("in-softirq chains", soft),
        _row("in-process chains", process),
        _row("combined max dependencies", (hard + 1) * (soft + 1) * (process + 1)),
        *_usage_rows(known, "", 0),
        *_usage_rows(known, "read-", READ),
        _row("uncategorized locks", sum(cls.usage == lock_usage.USED for cls in known)),
        _row("unused locks", sum(cls.usage == 0 for cls in known)),
        _row("max locking depth", max(map(len, held), default=0)),
        _row("debug_locks", 1),
    ]
    return "\n".join(rows) + "\n"


def _usage_rows(known: list[LockClass], word: str, up: int) -> list[str]:
    return [
        _row(f"{state}-{word}{kind} locks", _with(known, bits << up))
        for state, inside in _STATES
        for kind, bits in (("safe", inside), ("unsafe", lock_usage.flipped(inside)))
    ]


def _with(known: list[LockClass], bits: int) -> int:
    return sum(bool(cls.usage & bits) for cls in known)


def _row(what: str, value: int, limit: int | None = None) -> str:
    most = f" [max: {limit}]" if limit is not None else ""
    return f" {what + ':':<30} {value:11d}{most}"


def _reach(cls: LockClass, direction: Direction) -> int:
    """How many classes strong paths lead to, itself included (``lockdep_count_forward_deps()``)."""
    return len({step.cls for step in walk(cls, direction, weak=False)})


def _chains(k: Kernel) -> list[tuple[Chain, ...]]:
    return [chain for root in k.lockdep.roots for chain in root.all()]


def _key(k: Kernel, cls: LockClass) -> str:
    """A hashed pointer, which only tells classes apart."""
    return f"{k.lockdep.number(cls):016x}"
