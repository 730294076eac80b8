"""One finding as JSON-able data: what travels between processes, and what ``--kmock-json`` writes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypedDict

from kmock.reporting.source import spot
from kmock.reporting.terminal import short
from kmock.stack import user_frames

if TYPE_CHECKING:
    from kmock.config import KernelConfig
    from kmock.report import Report
    from kmock.stack import Stack

SCHEMA = "kmock-findings/1"
"""Name and version of the layout below; the number changes when a key goes or changes its meaning."""


class Place(TypedDict):
    """A place in a source file; columns count characters from 1, 0 where unknown."""

    file: str
    line: int
    column: int
    function: str


class Finding(TypedDict):
    """One finding. ``where`` is the driver's own place, ``stacks`` its frames by role, innermost first."""

    kind: str
    severity: str
    summary: str
    headline: str
    where: Place | None
    stacks: dict[str, list[Place]]
    context: dict[str, Any]
    object: dict[str, Any] | None
    lines: list[str]
    hint: str
    followed_by: list[str]
    attributes: dict[str, Any]
    phase: str
    seed: int | None
    machine: str | None


class TestFindings(TypedDict):
    """What one test came to: findings that count against it, advice, and what was suppressed."""

    test: str
    findings: list[Finding]
    lints: list[Finding]
    suppressed: list[Finding]


class Document(TypedDict):
    """The whole file: every test with something to tell, and how often each kind was found."""

    schema: str
    kmock: str
    kinds: dict[str, int]
    tests: list[TestFindings]


def finding(report: Report, config: KernelConfig | None = None) -> Finding:
    """Return ``report`` as data of plain types; ``config`` is that of its kernel."""
    return {
        "kind": report.kind,
        "severity": report.severity,
        "summary": short(report),
        "headline": report.headline,
        "where": _where(report),
        "stacks": {role: _frames(stack) for role, stack in report.stacks.items()},
        "context": {**asdict(report.context), "locks": list(report.context.locks)},
        "object": {**asdict(report.object), "dump": list(report.object.dump)} if report.object else None,
        "lines": list(report.lines),
        "hint": report.hint,
        "followed_by": list(report.followed_by),
        "attributes": {name: _plain(value) for name, value in report.attributes.items()},
        "phase": report.phase,
        "seed": config.seed if config else None,
        "machine": (config.origin or "default") if config else None,
    }


def _where(report: Report) -> Place | None:
    frame = report.where
    if frame is None:
        return None
    for stack in report.stacks.values():
        found = spot(stack)
        if found is not None and (found.file, found.line) == (frame.file, frame.line):
            column = found.column + 1 if found.end_column else 0
            return {"file": frame.file, "line": frame.line, "column": column, "function": frame.function}
    return {"file": frame.file, "line": frame.line, "column": 0, "function": frame.function}


def _frames(stack: Stack) -> list[Place]:
    return [{"file": f.file, "line": f.line, "column": 0, "function": f.function} for f in user_frames(stack)]


def _plain(value: object) -> object:
    """Return ``value`` as JSON knows it; what JSON doesn't know, as text."""
    if isinstance(value, bool | str | float) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)
