"""Tells at the end of a run how much of the recordings is replayed.

A plugin that the topmost conftest.py names: where pytest-xdist distributes the tests, the controller collects none and
so sees no conftest.py below.
"""

from __future__ import annotations

import importlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.recordings import areas, recorded
from tests.conformance.replay import registry

EXCEPTED = "conformance-excepted"
PASSED = "conformance-passed"


def load() -> None:
    """Import every module of replays, so that the registry knows all of them."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.conformance.{path.stem}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    properties = [
        pair
        for reports in terminalreporter.stats.values()
        for r in reports
        for pair in getattr(r, "user_properties", ())
    ]
    passed = {value for name, value in properties if name == PASSED}
    excepted: dict[str, str] = {}
    for name, value in properties:
        if name == EXCEPTED:
            excepted |= value
    if not passed:
        return
    with suppress(ImportError):  # which pytest has shown as an error of the module's own
        load()
    terminalreporter.section("conformance with Linux 6.1.192")
    terminalreporter.line(table(passed, excepted))
    for reason, ids in _by_reason(registry.pending).items():
        terminalreporter.line(f"pending: {reason}: {', '.join(sorted(ids))}")


def table(passed: set[str], excepted: dict[str, str]) -> str:
    """Return how much of each area is replayed, as lines of a table."""
    rows = [("area", "recorded", "replayed", "passed", "excepted values", "pending", "not yet tried")]
    for area in areas():
        ids = recorded(area).keys()
        replayed = ids & registry.replayed.keys()
        waiting = ids & registry.pending.keys()
        exceptions = sum(key.partition(" ")[0] in ids for key in excepted)
        counts = (len(ids), len(replayed), len(ids & passed), exceptions, len(waiting), len(ids - replayed - waiting))
        rows.append((area, *map(str, counts)))
    totals = [sum(int(row[i]) for row in rows[1:]) for i in range(1, 7)]
    rows.append(("all", *map(str, totals)))
    widths = [max(len(row[i]) for row in rows) for i in range(7)]
    return "\n".join("  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
                     for row in rows)  # fmt: skip


def _by_reason(waiting: dict[str, str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for id, reason in waiting.items():
        out.setdefault(reason, []).append(id)
    return out
