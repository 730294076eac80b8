"""Findings that a suite has decided to live with, each with its reason (ini option ``kmock_suppress``).

One a line: ``kind: path glob: reason``, as in ``leak-*: drivers/old_*.py: goes away with the driver in 3.0``.
Suppressed findings are counted in the summary, and a line that matched nothing in a whole run is named there.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kmock import kinds

if TYPE_CHECKING:
    from kmock.report import Report


class Suppression(NamedTuple):
    """One line of ``kmock_suppress``."""

    kind: str
    path: str
    reason: str
    root: str
    """The directory that ``path`` is seen from."""

    def matches(self, report: Report) -> bool:
        """Whether ``report`` is of this kind and blames a driver's file of this path."""
        if not report.is_a(self.kind):
            return False
        where = report.where
        file = os.path.relpath(where.file, self.root).replace(os.sep, "/") if where else ""
        return fnmatchcase(file, self.path)

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.reason}"


SUPPRESSIONS: pytest.StashKey[list[Suppression]] = pytest.StashKey()
"""On the session's config: the suite's suppressions."""


def parse(lines: list[str], root: str) -> list[Suppression]:
    """Return the suppressions that ``lines`` describe; UsageError with one sentence for the first mistake."""
    return [_parse_line(line, root) for line in lines]


def _parse_line(line: str, root: str) -> Suppression:
    parts = [part.strip() for part in line.split(":", 2)]
    if len(parts) < 3 or not all(parts):
        raise pytest.UsageError(
            f"ini option kmock_suppress: {line!r} is not 'kind: path glob: reason'; the reason must not be empty"
        )
    kind, path, reason = parts
    if not any(known.matches(kind) for known in kinds.catalogue().values()):
        from kmock.report import unknown_kind  # noqa: PLC0415 -- only for the sake of a mistake

        raise pytest.UsageError(f"ini option kmock_suppress: {line!r}: {unknown_kind(kind)}")
    return Suppression(kind, path, reason, root)
