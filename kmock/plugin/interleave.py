"""Tests that are marked ``interleave``: run again and again, each run with its own machine and fixtures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from kmock.explore.machine import ExploredKernel
from kmock.explore.schedule import EMPTY, decode
from kmock.explore.search import Result, Run, Search, finished
from kmock.explore.strategy import Replay, Strategy
from kmock.plugin.fixtures import ATTEMPT
from kmock.plugin.markers import plan_of
from kmock.plugin.options import value

if TYPE_CHECKING:
    from kmock.config import KernelConfig

PROGRESS_SECONDS = 1.0


class Attempt:
    """One run of a test."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self.kernel: ExploredKernel | None = None

    def boot(self, config: KernelConfig) -> ExploredKernel:
        """Boot the machine on which the strategy chooses."""
        self.kernel = ExploredKernel(config, self._strategy)
        return self.kernel


@dataclass
class ItemRun(Run):
    """One run of a test, and what pytest says of it."""

    tests: list[pytest.TestReport] = field(default_factory=list)


class ItemSearch:
    """The exploration of one test, in place of pytest's own way to run it."""

    def __init__(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        plan = plan_of(item)
        assert plan is not None
        self._item = item
        self._nextitem = nextitem
        self._properties = list(item.user_properties)
        self._search = Search(plan, self._attempt, self._progress)
        self._last = ItemRun()
        self._shown = time.monotonic()
        self._on_show = False

    def run(self) -> None:
        """Explore, or replay; log one set of reports: of the run that failed, or of the last."""
        hook = self._item.ihook
        hook.pytest_runtest_logstart(nodeid=self._item.nodeid, location=self._item.location)
        schedule = value(self._item.config, "schedule")
        try:
            if schedule is not None:
                self._replay(schedule)
            else:
                self._search.explore()
        except KeyboardInterrupt:
            if self._search.result.failed is not None:
                self._log()
            raise
        self._log()
        self._leave()
        hook.pytest_runtest_logfinish(nodeid=self._item.nodeid, location=self._item.location)

    def _replay(self, schedule: str) -> None:
        result = self._search.result
        run = self._attempt(Replay(decode(schedule)))
        result.runs, result.failed = 1, run if run.failure else None

    # -- a run ------------------------------------------------------------------------------------

    def _attempt(self, strategy: Strategy) -> Run:
        """Set the test up, call it, tear it down; what is above it (module, class) stays."""
        item = self._item
        attempt = item.stash[ATTEMPT] = Attempt(strategy)
        item.user_properties[:] = self._properties
        item._report_sections.clear()
        item._initrequest()  # type: ignore[attr-defined]  # a Function's: as before its first run
        tests = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]  # any node will do
        wrong = [str(test.outcome) for test in tests if not test.passed]
        if wrong and attempt.kernel is not None:
            wrong = [report.kind for report in attempt.kernel.reports.unexpected] or wrong
        found = finished(attempt.kernel, wrong) if attempt.kernel is not None else Run(frozenset(wrong))
        self._last = ItemRun(found.failure, found.switches, found.story, found.decisions, found.reports, tests)
        return self._last

    def _leave(self) -> None:
        """Tear down what the next test does not share."""
        item = self._item
        call = pytest.CallInfo.from_call(lambda: item.session._setupstate.teardown_exact(self._nextitem), "teardown")
        if call.excinfo is not None:
            item.ihook.pytest_runtest_logreport(report=pytest.TestReport.from_item_and_call(item, call))

    # -- what is told -----------------------------------------------------------------------------

    def _log(self) -> None:
        self._clear_progress()
        result = self._search.result
        run = result.failed if isinstance(result.failed, ItemRun) else self._last
        for test in run.tests:
            test.user_properties.append(("kmock.interleavings", result.runs))
            if test.failed:
                test.user_properties.append(("kmock.schedule", run.schedule))
                _add_section(test, describe(result, run, self._item.nodeid))
            self._item.ihook.pytest_runtest_logreport(report=test)

    def _progress(self, search: Search) -> None:
        now = time.monotonic()
        terminal: Any = self._item.config.pluginmanager.get_plugin("terminalreporter")
        if now - self._shown < PROGRESS_SECONDS or not _can_show(terminal):
            return
        self._shown, self._on_show = now, True
        limit = search.plan.limit
        done = f"{search.result.runs} of {limit}" if limit is not None else f"{search.result.runs}"
        found = f", one fails: {search.shrinking} runs to reduce it" if search.result.failed is not None else ""
        terminal.rewrite(f"kmock: {self._item.nodeid}: {done} interleavings{found}", erase=True)

    def _clear_progress(self) -> None:
        if self._on_show:
            terminal: Any = self._item.config.pluginmanager.get_plugin("terminalreporter")
            terminal.rewrite("", erase=True)


def _can_show(terminal: Any) -> bool:
    """Whether there is a terminal whose line can be written anew."""
    return terminal is not None and bool(terminal.isatty)


def describe(result: Result, run: Run, nodeid: str) -> str:
    """Say which interleaving it was, what in it matters, and how to have it again."""
    plan = result.plan
    found = f"found in run {result.runs} (strategy {plan.strategy}, seed {plan.seed})"
    again = f"again: pytest '{nodeid}' --kmock-schedule={run.schedule}"
    if run.schedule == EMPTY:
        return f"{found}, in the natural order too\n{again}"
    n = len(run.story)
    matter = f"{n} switches from the natural order matter" if n > 1 else "1 switch from the natural order matters"
    return "\n".join([f"{found}; {matter}:", *(f"  {n}. {step}" for n, step in enumerate(run.story, 1)), again])


def _add_section(test: pytest.TestReport, text: str) -> None:
    add = getattr(test.longrepr, "addsection", None)
    if add is not None:
        add("interleaving", text)
    else:
        test.sections.append(("interleaving", text))
