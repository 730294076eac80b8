"""Replays recordings of a real kernel against kmock.

::

    @scenario("slab.zero-size")
    def zero_size(k, s):
        p = kmalloc(0, GFP_KERNEL)
        s.check("p", p)

boots the machine that ``slab.zero-size`` was recorded on, runs the function, and holds what it checked, what was
logged and what was reported against the recording. pytest sees one test for each id (see ``conftest.py``).
"""

from __future__ import annotations

import signal
import traceback
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import kmock
from kmock.errors import ReportedError
from tests.conformance.machines import boot_options
from tests.conformance.normalise import first_missing, log_lines, same
from tests.conformance.recordings import Recording, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock import Kernel
    from kmock.report import Report

ENDS = {
    "continues": (),
    "oops": (kmock.KernelOops, kmock.KernelPanic),
    "bug": (kmock.KernelOops, kmock.KernelPanic),
    "panic": (kmock.KernelPanic, kmock.KernelOops),
    "hang": (kmock.Deadlock,),
}
# Headlines that end a task: a harness that caught this in a thread of its own recorded "continues".
DEADLY = ("kernel BUG at ", "BUG: unable to handle ", "BUG: kernel NULL pointer", "general protection fault", "panic")
PATIENCE = 60
"""Seconds after which a replay is given up: one that never ends must not hold up the others."""
# Filled in by running to the end, or by what is compared anyway.
IMPLIED = ("survived", "sequence")


@dataclass
class Scenario:
    """One replay: the function that plays a recording, and what is known to differ."""

    id: str
    play: Callable[[Kernel, Replay], object]
    except_headlines: dict[str, str] = field(default_factory=dict)
    """Parts of headlines that are not looked for, each with the reason."""
    more_reports: str = ""
    """Why kmock may report where the kernel was silent and nobody marked it as missed."""
    fewer_reports: str = ""
    """Why kmock may be silent too where the kernel missed a mistake."""
    boot: dict[str, Any] = field(default_factory=dict)
    """Boot options beside those of the recorded machine."""


class Registry:
    """The scenarios that are replayed, and those that wait, each with the reason."""

    def __init__(self) -> None:
        self.replayed: dict[str, Scenario] = {}
        self.pending: dict[str, str] = {}

    def add(self, entry: Scenario) -> None:
        recording(entry.id)
        if entry.id in self.replayed or entry.id in self.pending:
            raise ValueError(f"{entry.id!r} is registered twice")
        self.replayed[entry.id] = entry

    def postpone(self, id: str, reason: str) -> None:
        recording(id)
        if id in self.replayed or id in self.pending:
            raise ValueError(f"{id!r} is registered twice")
        if not reason.strip():
            raise ValueError(f"{id!r} waits for no reason")
        self.pending[id] = reason


registry = Registry()


def scenario(*ids: str, **options: Any) -> Callable[..., Any]:
    """Register the decorated ``f(k, s)`` as the replay of each of the recordings ``ids``.

    Options are the fields of :class:`Scenario`: ``except_headlines={part: reason}``, ``more_reports=reason``,
    ``fewer_reports=reason``, ``boot={...}``.
    """

    def register(play: Callable[[Kernel, Replay], object]) -> Callable[[Kernel, Replay], object]:
        entries = [Scenario(id, play, **options) for id in ids]
        for entry in entries:
            registry.add(entry)
        play.scenarios = [*getattr(play, "scenarios", ()), *entries]  # type: ignore[attr-defined]
        return play

    return register


def pending(id: str, reason: str) -> None:
    """Register a recording as not replayed yet; ``reason`` says what it needs."""
    registry.postpone(id, reason)


class Replay:
    """The scenario ``s`` that a replaying function checks its values against."""

    def __init__(self, recorded: Recording) -> None:
        self.recording = recorded
        self.id = recorded.id
        self.steps = recorded.steps
        self.excepted: dict[str, str] = {}
        self._seen: dict[str, list[Any]] = {}

    @property
    def observed(self) -> dict[str, Any]:
        """The recorded values by name."""
        return self.recording.observed

    def check(self, key: str, value: Any) -> None:
        """Hold ``value`` against ``observed[key]``; where a list was recorded, each call is its next element.

        Differences are told together when the scenario is over.
        """
        if key not in self.observed:
            near = get_close_matches(key, self.observed, n=1)
            raise ValueError(f"{self.id} has no value {key!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        self._seen.setdefault(key, []).append(value)

    def except_(self, key: str, reason: str) -> None:
        """Leave ``observed[key]`` unchecked: it belongs to the recorded machine, for ``reason``."""
        if key not in self.observed:
            raise ValueError(f"{self.id} has no value {key!r} to except")
        if not reason.strip():
            raise ValueError(f"{self.id}: {key!r} is excepted for no reason")
        self.excepted[key] = reason

    def value_problems(self) -> list[str]:
        """Say which values differ, and which were never looked at."""
        out = []
        for key, recorded in self.observed.items():
            if key in self.excepted:
                continue
            if key in self._seen:
                if not self._agrees(recorded, self._seen[key]):
                    out.append(f"{key}: recorded {recorded!r}, got {self._shown(self._seen[key])}")
            elif key not in IMPLIED:
                out.append(f"{key}: recorded {recorded!r}, never checked")
        return out

    @staticmethod
    def _agrees(recorded: Any, seen: list[Any]) -> bool:
        if isinstance(recorded, list) and not (len(seen) == 1 and isinstance(seen[0], list | tuple)):
            return same(recorded, seen)
        return all(same(recorded, value) for value in seen)

    @staticmethod
    def _shown(seen: list[Any]) -> str:
        return repr(seen[0]) if len(seen) == 1 else repr(seen)


def run(entry: Scenario) -> Replay:
    """Play a scenario; AssertionError with everything that differs from the recording."""
    replay = Replay(recording(entry.id))
    misses = replay.recording.kernel_misses
    options = boot_options(replay.recording.machine, lint=misses) | entry.boot
    problems: list[str] = []
    with kmock.boot(**options) as k:
        ended = _play(entry, k, replay)
        said = [r for r in k.reports if r.severity != "lint" or misses]
        dmesg = k.dmesg()
        k.shutdown()
    late = [r for r in k.reports if not any(r is s for s in said)]
    problems += _outcome_problems(replay.recording, ended)
    problems += _headline_problems(entry, replay, dmesg)
    problems += _report_problems(entry, replay.recording, said, late)
    problems += replay.value_problems()
    if problems:
        raise AssertionError(_told(entry, problems, ended, dmesg))
    return replay


def _play(entry: Scenario, k: Kernel, replay: Replay) -> ReportedError | None:
    def too_long(*_: object) -> None:
        raise AssertionError(f"{entry.id} did not end within {PATIENCE} seconds")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)
    try:
        entry.play(k, replay)
    except ReportedError as end:
        return end
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return None


def _outcome_problems(recorded: Recording, ended: ReportedError | None) -> list[str]:
    allowed = ENDS[recorded.outcome]
    if ended is None:
        # A hang is told at once instead of hanging, be it by a report or by raising.
        return [f"outcome {recorded.outcome}, but it ran to its end"] if allowed and recorded.outcome != "hang" else []
    if isinstance(ended, allowed) or any(word in h for h in recorded.headlines for word in DEADLY):
        return []
    return [f"outcome {recorded.outcome}, but {type(ended).__name__} was raised: {ended}"]


def _headline_problems(entry: Scenario, replay: Replay, dmesg: str) -> list[str]:
    wanted = []
    for headline in replay.recording.headlines:
        reason = next((why for part, why in entry.except_headlines.items() if part in headline), None)
        if reason is None:
            wanted.append(headline)
        else:
            replay.excepted[f"headline {headline!r}"] = reason
    missing = first_missing(wanted, dmesg)
    return [] if missing is None else [f"not in the log, or not in this order: {missing!r}"]


def _report_problems(entry: Scenario, recorded: Recording, said: list[Report], late: list[Report]) -> list[str]:
    told = "; ".join(map(str, [*said, *late])) or "nothing"
    if recorded.kernel_misses or recorded.verdicts or recorded.outcome == "hang":
        silent = not said and not late and not entry.fewer_reports
        # Headlines that are all excepted leave nothing to demand.
        return ["a mistake, but kmock reported nothing"] if silent and not _all_excepted(entry, recorded) else []
    # What a scenario did not free is not what it is about.
    wrong = [*said, *(r for r in late if r.severity not in {"leak", "lint"})]
    return [f"correct use, but kmock reported: {told}"] if wrong and not entry.more_reports else []


def _all_excepted(entry: Scenario, recorded: Recording) -> bool:
    parts = entry.except_headlines
    return bool(recorded.verdicts) and all(any(part in h for part in parts) for h in recorded.verdicts)


def _told(entry: Scenario, problems: list[str], ended: ReportedError | None, dmesg: str) -> str:
    log = log_lines(dmesg)
    shown = [f"    {line}" for line in log[-40:]] or ["    (empty)"]
    where = ["ended by:", *traceback.format_exception(ended)[-6:]] if ended else []
    steps = [f"    {step}" for step in recording(entry.id).steps]
    return "\n".join([f"{entry.id} differs from its recording:", *(f"  - {p}" for p in problems),
                      "steps:", *steps, "log:", *shown, *where])  # fmt: skip
