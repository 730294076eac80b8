"""The search for an interleaving that fails, and its reduction to the switches that matter."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kmock.config import KernelConfig
from kmock.errors import ReportedError
from kmock.explore.machine import ExploredKernel
from kmock.explore.schedule import encode
from kmock.explore.strategy import Exhaustive, Replay, Strategy, strategy_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kmock.explore.schedule import Switch
    from kmock.machine import Kernel
    from kmock.report import Report

RUNS = 200
"""How many runs an exploration makes at most, unless it is told otherwise."""
PREEMPTIONS = 2
SHRINKING = 200
"""How many runs the reduction of a failing schedule may take."""


@dataclass(frozen=True)
class Plan:
    """What to explore."""

    strategy: str = "pct"
    runs: int | None = None
    """None for the default; an exhaustive exploration makes as many as there are."""
    preemptions: int = PREEMPTIONS
    seed: int = 0

    @property
    def limit(self) -> int | None:
        """How many runs to make at most, None for any number."""
        return RUNS if self.runs is None and self.strategy != "exhaustive" else self.runs


@dataclass
class Run:
    """One run, and what it came to."""

    failure: frozenset[str] = frozenset()
    """What went wrong, as kinds of report or names of exceptions; empty if nothing did."""
    switches: list[Switch] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    decisions: int = 0
    reports: list[Report] = field(default_factory=list)

    @property
    def schedule(self) -> str:
        """The schedule that replays it."""
        return encode(self.switches)


@dataclass
class Result:
    """What an exploration came to."""

    plan: Plan
    runs: int = 0
    """How many schedules were tried, without those of the reduction."""
    failed: Run | None = None
    """The failing run, reduced to what matters."""
    exhausted: bool = False
    """Whether there was no other schedule left to try."""


class Search:
    """One exploration. ``attempt(strategy)`` makes a run; ``progress(search)`` is told of each."""

    def __init__(
        self, plan: Plan, attempt: Callable[[Strategy], Run], progress: Callable[[Search], None] | None = None
    ) -> None:
        self.plan = plan
        self.result = Result(plan)
        self.shrinking = 0
        """Runs made to reduce what was found."""
        self._attempt = attempt
        self._progress = progress or (lambda search: None)

    def explore(self) -> Result:
        """Try schedules until one fails, the limit is reached, or none is left; then reduce the one that failed.

        An interruption (KeyboardInterrupt) leaves what was found until then in ``result``.
        """
        strategy = strategy_for(self.plan.strategy, self.plan.seed, self.plan.preemptions)
        result = self.result
        while self.plan.limit is None or result.runs < self.plan.limit:
            if not strategy.begin():
                result.exhausted = True
                break
            run = self._attempt(strategy)
            strategy.end()
            result.runs += 1
            self._progress(self)
            if run.failure:
                result.failed = run
                self._shrink(run)
                self._look_for_shorter()
                break
        return result

    def _shrink(self, run: Run) -> None:
        """Leave out switches, many at once and then one by one, as long as the run still fails in the same way."""
        size = len(run.switches)
        while size and self.shrinking < SHRINKING:
            reduced = self._without_some(run, size)
            if reduced is not None:
                run = self.result.failed = reduced
                size = min(size, len(run.switches))
            else:
                size //= 2

    def _look_for_shorter(self) -> None:
        """Try schedules of few preemptions: one that fails in the same way may be no part of the one that was found."""
        run = self.result.failed
        assert run is not None
        strategy = Exhaustive(max(len(run.switches) - 1, 0))
        while len(run.switches) > 1 and self.shrinking < SHRINKING and strategy.begin():
            tried = self._try(strategy)
            if run.failure <= tried.failure and len(tried.switches) < len(run.switches):
                run = self.result.failed = tried

    def _try(self, strategy: Strategy) -> Run:
        self.shrinking += 1
        self._progress(self)
        return self._attempt(strategy)

    def _without_some(self, run: Run, size: int) -> Run | None:
        """Return a run like ``run`` that does without ``size`` of its switches; None if each of them is needed."""
        for first in range(0, len(run.switches), size):
            if self.shrinking >= SHRINKING:
                return None
            tried = self._try(Replay(run.switches[:first] + run.switches[first + size :]))
            if run.failure <= tried.failure and len(tried.switches) < len(run.switches):
                return tried
        return None


def attempt_of(program: Callable[[Any], object], **boot: Any) -> Callable[[Strategy], Run]:
    """Return what runs ``program(kernel)`` from boot to shutdown on a machine of that description."""
    config = KernelConfig.make(None, **boot)

    def attempt(strategy: Strategy) -> Run:
        return run(program, config, strategy)

    return attempt


def run(program: Callable[[Any], object], config: KernelConfig, strategy: Strategy) -> Run:
    """Run ``program(kernel)`` once."""
    wrong: list[str] = []
    k = ExploredKernel(config, strategy)
    try:
        program(k)
    except ReportedError as error:
        wrong.append(error.report.kind)
    except Exception as error:  # noqa: BLE001 -- whatever goes wrong is what was looked for
        wrong.append(type(error).__name__)
    finally:
        with suppress(ReportedError):
            k.shutdown()
    return finished(k, [*wrong, *(report.kind for report in k.reports.unexpected)])


def finished(k: Kernel, wrong: list[str]) -> Run:
    """Return what the run on ``k``, which is over, came to."""
    assert isinstance(k, ExploredKernel)
    explorer = k.explorer
    story = explorer.story if wrong else []
    return Run(frozenset(wrong), explorer.switches, story, explorer.decisions, list(k.reports))


def explore(
    program: Callable[[Any], object],
    *,
    strategy: str = "pct",
    runs: int | None = None,
    preemptions: int = PREEMPTIONS,
    seed: int = 0,
    **boot: Any,
) -> Result:
    """Explore the interleavings of ``program(kernel)``, each run on a machine booted with ``boot``."""
    plan = Plan(strategy, runs, preemptions, seed)
    return Search(plan, attempt_of(program, **boot)).explore()
