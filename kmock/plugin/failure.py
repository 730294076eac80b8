"""What fails a test that found nothing wrong itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.reporting.terminal import short

if TYPE_CHECKING:
    from kmock.report import Report


class KmockFailure(AssertionError):
    """Ends a phase of a test with what was found in it."""

    def __init__(self, findings: list[Report], problems: list[str]) -> None:
        super().__init__("\n".join([*problems, *map(short, findings)]))
        self.findings = findings
        self.problems = problems
