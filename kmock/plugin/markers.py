"""The check of every marker, where tests are collected.

A mistake in a marker stops the run before the first test, with the test's place, the key, the value and what would be
right; a typing error never turns into a test that silently runs on the wrong machine.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from kmock.plugin.options import value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmock.config import KernelConfig
    from kmock.explore.search import Plan


class Expectation(NamedTuple):
    """A report that a test announces by marker."""

    kind: str
    times: int | None


CONFIG: pytest.StashKey[KernelConfig] = pytest.StashKey()
"""On an item: the machine to boot. On the session's config: the one for tests that don't say."""


def check_markers(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Work out every test's machine and expectations; UsageError with one sentence for the first mistake.

    A worker of pytest-xdist can't end a run in good order, so there each test checks its own markers when it begins.
    """
    if not hasattr(config, "workerinput"):
        _check_schedule(config)
        for item in items:
            expectations_of(item)
            config_of(item)
            plan_of(item)


def config_of(item: pytest.Item) -> KernelConfig:
    """Return the machine that ``item`` wants; UsageError for a mistake in its markers or the suite's options."""
    owner = item if item.get_closest_marker("kernel") is not None else item.config
    known = owner.stash.get(CONFIG, None)
    if known is None:
        said = suite_options(item.config)
        known = _machine_of(item, said) if isinstance(owner, pytest.Item) else _make(said, "the suite's options")
        owner.stash[CONFIG] = known
    return known


def suite_options(config: pytest.Config) -> dict[str, Any]:
    """Return what the command line and the ini file say about every test's machine."""
    said = {
        "machine": _beside(value(config, "machine"), str(config.rootpath)),
        "seed": value(config, "seed"),
        "lint": value(config, "lint") or None,
        "raise_reports": value(config, "raise") or None,
    }
    return {key: what for key, what in said.items() if what is not None}


def _machine_of(item: pytest.Item, suite: dict[str, Any]) -> KernelConfig:
    """Lay the test's markers, the nearest uppermost, over the suite's options."""
    place = f"{place_of(item)}: @pytest.mark.kernel"
    said: dict[str, Any] = {}
    for mark in item.iter_markers("kernel"):
        if mark.args:
            raise pytest.UsageError(
                f"{place}: takes no positional argument, got {mark.args[0]!r}: name it, as in machine={mark.args[0]!r}"
            )
        said = {**mark.kwargs, **said}
    if "machine" in said:
        said["machine"] = _beside(said["machine"], str(item.path.parent), str(item.config.rootpath))
    return _make({**suite, **said}, place)


def _make(said: dict[str, Any], place: str) -> KernelConfig:
    from kmock.config import ConfigError, KernelConfig  # noqa: PLC0415 -- only where a test wants a kernel

    try:
        return KernelConfig.make(where=place, **said)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def _beside(machine: Any, *directories: str) -> Any:
    """Return the file that a relative path means, looked for in the working directory first, then in each of these."""
    if isinstance(machine, str) and machine.endswith((".yaml", ".yml")) and not os.path.isfile(machine):
        paths = (os.path.join(directory, machine) for directory in directories)
        return next((path for path in paths if os.path.isfile(path)), machine)
    return machine


def expectations_of(item: pytest.Item) -> list[Expectation]:
    """Return the reports that ``item`` announces; UsageError for a mistake in its markers."""
    if item.get_closest_marker("expect_report") is None:
        return []
    if "kernel" not in getattr(item, "fixturenames", ()):
        raise pytest.UsageError(
            f"{place_of(item)}: @pytest.mark.expect_report: this test doesn't use the fixture `kernel`, "
            "so no report can come"
        )
    return [_expectation(mark, place_of(item)) for mark in item.iter_markers("expect_report")]


def _expectation(mark: pytest.Mark, place: str) -> Expectation:
    from kmock import kinds  # noqa: PLC0415 -- only where a test has the marker
    from kmock.report import unknown_kind  # noqa: PLC0415 -- the same

    place = f"{place}: @pytest.mark.expect_report"
    unknown = sorted(set(mark.kwargs) - {"kind", "count"})
    if unknown:
        raise pytest.UsageError(f"{place}: unknown argument {unknown[0]!r}: expected kind, count")
    if len(mark.args) + len(mark.kwargs) > 2 or bool(mark.args) == ("kind" in mark.kwargs):
        raise pytest.UsageError(
            f"{place}: expected one kind, as in expect_report('slab-double-free'), and perhaps count"
        )
    kind = mark.args[0] if mark.args else mark.kwargs["kind"]
    count = mark.args[1] if len(mark.args) > 1 else mark.kwargs.get("count")
    if not isinstance(kind, str) or not any(known.matches(kind) for known in kinds.catalogue().values()):
        raise pytest.UsageError(f"{place}: kind: {unknown_kind(str(kind))}")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise pytest.UsageError(f"{place}: count: {count!r} is not a number of reports: expected 0 or more, or None")
    return Expectation(kind, count)


def plan_of(item: pytest.Item) -> Plan | None:
    """Return what to explore in ``item``, None if it is not marked so; UsageError for a mistake in its marker."""
    mark = item.get_closest_marker("interleave")
    if mark is None:
        return None
    from kmock.explore.search import Plan  # noqa: PLC0415 -- only where a test has the marker

    place = f"{place_of(item)}: @pytest.mark.interleave"
    if "kernel" not in getattr(item, "fixturenames", ()):
        raise pytest.UsageError(
            f"{place}: this test doesn't use the fixture `kernel`, so there is nothing to interleave"
        )
    if mark.args:
        raise pytest.UsageError(f"{place}: takes no positional argument, got {mark.args[0]!r}: name it")
    unknown = sorted(set(mark.kwargs) - set(_PLAN))
    if unknown:
        raise pytest.UsageError(f"{place}: unknown argument {unknown[0]!r}: expected {', '.join(_PLAN)}")
    for name, given in mark.kwargs.items():
        _check_plan(place, name, given)
    return Plan(**mark.kwargs)


def _check_schedule(config: pytest.Config) -> None:
    schedule = value(config, "schedule")
    if schedule is None:
        return
    from kmock.explore.schedule import decode  # noqa: PLC0415 -- few runs replay a schedule

    try:
        decode(schedule)
    except ValueError as error:
        raise pytest.UsageError(f"--kmock-schedule: {error}") from None


_PLAN = ("strategy", "runs", "preemptions", "seed")


def _check_plan(place: str, name: str, given: Any) -> None:
    from kmock.explore.strategy import STRATEGIES  # noqa: PLC0415 -- only where a test has the marker

    if name == "strategy":
        if given not in STRATEGIES:
            raise pytest.UsageError(f"{place}: strategy: {given!r} is none of {', '.join(STRATEGIES)}")
    elif isinstance(given, bool) or not isinstance(given, int) or given < (name == "runs"):
        least = "1" if name == "runs" else "0"
        raise pytest.UsageError(f"{place}: {name}: {given!r} is not a number from {least} on")


def place_of(item: pytest.Item) -> str:
    """``file:line`` of a test."""
    file, line, _ = item.location
    return f"{file}:{(line or 0) + 1}"
