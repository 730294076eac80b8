"""What happens to the kernel of one test: booted, watched through the test's phases, judged, shut down.

What the call itself allocated is looked at when the call ends; what fixtures allocated, when the ``kernel`` fixture
ends, after they have cleaned up. A test that failed in its own right, or whose task was killed, is not asked what it
left behind.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kmock import kinds
from kmock.errors import ReportedError
from kmock.machine import Kernel
from kmock.plugin.failure import KmockFailure
from kmock.plugin.fixtures import ATTEMPT
from kmock.plugin.markers import config_of, expectations_of
from kmock.plugin.suppress import SUPPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from kmock.plugin.contexts import GfpContext
    from kmock.plugin.markers import Expectation
    from kmock.report import Report


@dataclass
class Verdict:
    """What one phase of a test came to."""

    findings: list[Report] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Announced reports that did not come, one sentence each."""
    lints: list[Report] = field(default_factory=list)
    leaked: bool = False
    """Whether all of it is what fixtures left behind."""

    def __bool__(self) -> bool:
        return bool(self.findings or self.problems)


class Announcement:
    """A report that the test's marker announced: accepted from boot on, asked for when its time has come."""

    def __init__(self, kernel: Kernel, expectation: Expectation) -> None:
        self.is_leak = any(k.severity == "leak" for k in kinds.catalogue().values() if k.matches(expectation.kind))
        self._block = kernel.expect(expectation.kind, expectation.times)
        self.found = self._block.__enter__()

    def close(self) -> str:
        """Accept no more; return what is wrong with what came, or nothing."""
        try:
            self._block.__exit__(None, None, None)
        except AssertionError as error:
            return str(error)
        return ""


class Watch:
    """The kernel of one test, and what has been found so far."""

    def __init__(self, item: pytest.Item) -> None:
        self.item = item
        config, expected = config_of(item), expectations_of(item)
        attempt = item.stash.get(ATTEMPT, None)
        self.kernel = Kernel(config) if attempt is None else attempt.boot(config)
        self.context: GfpContext | None = None
        """The execution context that the call runs in."""
        self.verdicts: dict[str, Verdict] = {}
        """By phase."""
        self.suppressed: list[tuple[int, Report]] = []
        """Suppressed reports, each with the ordinal of the suppression."""
        self._judged = 0
        self._silenced = True
        self._broken = False
        self._inside = ExitStack()
        self._suppressions = item.config.stash.get(SUPPRESSIONS, [])
        if self._suppressions:
            self.kernel.reports.listeners.append(self._suppress)
        self._announced = [Announcement(self.kernel, one) for one in expected]
        self.kernel.phase = "setup"

    # -- the phases -------------------------------------------------------------------------------

    def begin_call(self) -> None:
        """What is allocated from here on is the test's own."""
        self._silenced = False
        self.kernel.phase = "call"
        self.kernel.census.begin_call()
        if self.context is not None:
            self._inside.enter_context(self.context.enter())

    def fail_setup(self) -> None:
        """A fixture failed: what was found until then belongs to that failure."""
        self.verdicts["setup"] = self._noted(self._verdict())

    def end_call(self, error: BaseException | None) -> bool:
        """Judge the call that ended with ``error``; return whether that was announced.

        Raises KmockFailure where the test itself has nothing to say against what was found.
        """
        own_error = error or _error_of_unittest(self.item)
        announced = isinstance(own_error, ReportedError) and self._announces(own_error.report)
        self._silenced = own_error is not None
        try:
            self._leave(take_stock=own_error is None and not self.kernel.down)
        finally:
            due = self._due() if own_error is None or announced else ()
            verdict = self.verdicts["call"] = self._noted(self._verdict(due))
            self.kernel.phase = "teardown"
        if announced:
            self._forget_error_of_unittest()
        if verdict and (own_error is None or announced):
            raise KmockFailure(verdict.findings, verdict.problems)
        return announced

    def _leave(self, *, take_stock: bool) -> None:
        """Leave the call's context, and look at what the call left behind."""
        with suppress(ReportedError):
            self._inside.close()
        if take_stock:
            self._broken = True  # stays so if the census breaks down: one internal error is enough
            with suppress(ReportedError):
                if "sched" in vars(self.kernel):
                    self.kernel.join()  # what the test started belongs to it to the end
                self.kernel.census.end_call()
            self._broken = False

    def finish(self) -> None:
        """Shut down and judge what fixtures did and left behind; raises KmockFailure for it."""
        before = self._verdict()
        with suppress(Exception if self._broken else ReportedError):
            self.kernel.shutdown()
        after = self._verdict(self._announced)
        if self._silenced:
            after = Verdict()
        verdict = Verdict(
            before.findings + after.findings,
            after.problems,
            before.lints + after.lints,
            leaked=bool(after) and not before and not after.problems,
        )
        self.verdicts["teardown"] = self._noted(verdict)
        if verdict:
            raise KmockFailure(verdict.findings, verdict.problems)

    # -- what was found ---------------------------------------------------------------------------

    def _verdict(self, due: Iterable[Announcement] = ()) -> Verdict:
        """What was found since the last verdict; ``due`` are the announcements that must have come true by now."""
        problems = [problem for announcement in due if (problem := announcement.close())]
        reports = self.kernel.reports
        fresh = [report for report in reports.unexpected if report.serial > self._judged]
        lints = [report for report in reports[self._judged :] if report.severity == "lint"]
        self._judged = len(reports)
        self._announced = [announcement for announcement in self._announced if announcement not in due]
        return Verdict(fresh, problems, lints)

    def _noted(self, verdict: Verdict) -> Verdict:
        """Write the findings into the test's properties, from where they go into JUnit's file."""
        self.item.user_properties += [("kmock.finding", report.kind) for report in verdict.findings]
        return verdict

    def _due(self) -> list[Announcement]:
        """The announcements to be kept by the call's end: a leak may still be found when fixtures have cleaned up."""
        return [one for one in self._announced if one.found or not one.is_leak]

    def _announces(self, report: Report) -> bool:
        return any(report is found for announcement in self._announced for found in announcement.found)

    def _suppress(self, report: Report) -> None:
        accepted = self.kernel.reports.accepted
        if accepted and accepted[-1] is report:
            return
        for ordinal, suppression in enumerate(self._suppressions):
            if suppression.matches(report):
                accepted.append(report)
                self.suppressed.append((ordinal, report))
                return

    def _forget_error_of_unittest(self) -> None:
        getattr(self.item, "_excinfo", []).clear()


def _error_of_unittest(item: pytest.Item) -> BaseException | None:
    """What a unittest.TestCase's method raised: pytest keeps it for its report instead of letting it through."""
    kept = getattr(item, "_excinfo", None)
    return kept[0].value if kept else None
