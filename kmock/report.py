"""Findings: what a report holds, and the log that a kernel keeps of them.

A report is data; how it looks in a terminal, a log or a file is decided in ``kmock/reporting``.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kmock import kinds
from kmock.stack import Frame, Stack, frames, user_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Context:
    """Where execution stood when a report was made."""

    comm: str
    pid: int
    cpu: int
    preempt_count: int
    irqs_off: bool
    rcu_depth: int
    locks: tuple[str, ...]
    time: int
    """Virtual nanoseconds since boot."""
    where: str
    """``process``, ``softirq``, ``hardirq`` or ``nmi``."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The piece of memory that a report is about."""

    address: int
    size: int
    """Bytes asked for by the driver."""
    what: str
    """``object of cache kmalloc-64``, ``2 pages``, ..."""
    cache: str = ""
    offset: int | None = None
    """Offset of the access from the object's start; negative to the left of it."""
    dump: tuple[str, ...] = ()
    """Lines that show the bytes or the shadow around the access."""


@dataclass(slots=True)
class Report:
    """One finding. ``kind`` is an id of the catalogue; ``headline`` the kernel's own first line."""

    kind: str
    headline: str
    stacks: dict[str, Stack]
    """By role: ``access``, ``allocated``, ``freed``, ``taken``..."""
    context: Context
    object: ObjectInfo | None = None
    lines: tuple[str, ...] = ()
    """What the kernel prints below the headline."""
    hint: str = ""
    serial: int = 0
    followed_by: list[str] = field(default_factory=list)
    """Later trouble with the same object or section, one line each: consequences of this finding."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Machine-readable details of the kind (``size``, ``count``, ``gfp``...)."""
    phase: str = "call"
    """``setup``, ``call`` or ``teardown`` of the test."""

    @property
    def severity(self) -> str:
        """``oops``, ``warn``, ``leak`` or ``lint``, by the kind."""
        return kinds.kind(self.kind).severity

    @property
    def where(self) -> Frame | None:
        """The driver's frame: the innermost one that is not kmock's own, where there is one."""
        for role in ("access", "allocated"):
            if stack := self.stacks.get(role):
                found = user_frames(stack)
                if found:
                    return found[0]
        return None

    @property
    def stack(self) -> list[Frame]:
        """The frames of the access, innermost first."""
        return frames(self.stacks.get("access", ()))

    def is_a(self, pattern: str) -> bool:
        """Whether this finding is of that kind, family glob or broader kind."""
        return kinds.kind(self.kind).matches(pattern)

    def __str__(self) -> str:
        place = self.where
        return f"{self.headline} [{self.kind}]" + (f" at {place.short} in {place.function}" if place else "")


class ReportLog(list[Report]):
    """Every report of one kernel, in order, and who expects which.

    ``key`` of :meth:`find` is what decides whether a finding is news: the same key again is a consequence
    and is attached to the first report.
    """

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[Report] = []
        self._expected: list[tuple[str, list[Report]]] = []
        self._by_key: dict[object, Report] = {}
        self.listeners: list[Callable[[Report], None]] = []

    @property
    def unexpected(self) -> list[Report]:
        """The reports that nobody said to expect; lints are advice and never among them."""
        return [r for r in self if not any(r is a for a in self.accepted) and r.severity != "lint"]

    def find(self, key: object) -> Report | None:
        """Return the first report made under ``key``."""
        return self._by_key.get(key)

    def also(self, report: Report, *keys: object) -> None:
        """Attach what is found under ``keys`` from now on to ``report``: it follows from the same mistake."""
        for key in keys:
            self._by_key.setdefault(key, report)

    def awaited(self, kind: str) -> bool:
        """Whether an open ``expect()`` block takes reports of ``kind``."""
        return bool(self._expected) and any(kinds.kind(kind).matches(pattern) for pattern, _ in self._expected)

    def add(self, report: Report, key: object = None) -> bool:
        """Log ``report``; return whether somebody expected it. A listener may accept it too."""
        report.serial = len(self) + 1
        self.append(report)
        if key is not None:
            self._by_key[key] = report
        for pattern, found in reversed(self._expected):
            if report.is_a(pattern):
                found.append(report)
                self.accepted.append(report)
                break
        for listener in self.listeners:
            listener(report)
        return bool(self.accepted) and self.accepted[-1] is report

    @contextmanager
    def expecting(self, kind: str, count: int | None = None) -> Iterator[list[Report]]:
        """Accept reports of ``kind`` inside the block; fail after it if none (or not ``count``) came."""
        if not any(k.matches(kind) for k in kinds.catalogue().values()):
            raise ValueError(unknown_kind(kind))
        found: list[Report] = []
        entry = (kind, found)
        self._expected.append(entry)
        try:
            yield found
        finally:
            self._expected = [e for e in self._expected if e is not entry]
        if not found and count != 0:
            others = "; ".join(str(r) for r in self.unexpected) or "nothing was reported"
            msg = f"expected a report of kind {kind!r}, but none came ({others})"
            raise AssertionError(msg)
        if count is not None and len(found) != count:
            msg = f"expected {count} report(s) of kind {kind!r}, got {len(found)}: {'; '.join(map(str, found))}"
            raise AssertionError(msg)


def unknown_kind(kind: str) -> str:
    """One sentence for a kind that the catalogue doesn't have, with the nearest that it has."""
    import difflib  # noqa: PLC0415 -- only for the sake of a mistake

    near = difflib.get_close_matches(kind, kinds.catalogue(), n=1)
    return f"unknown report kind {kind!r}" + (f": did you mean {near[0]!r}?" if near else "")
