"""Mistakes of drivers that show in some interleavings only: each is found in its default number of runs, its mended twin
stays silent.
"""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import pytest

from kmock.explore.schedule import decode
from kmock.explore.search import attempt_of, explore
from kmock.explore.strategy import Replay

NAMES = sorted(path.stem for path in (Path(__file__).parent / "seeded").glob("[a-z]*.py"))


def seeded(name):
    module = importlib.import_module(f"tests.explore.seeded.{name}")
    return module, getattr(module, "BOOT", {})


def test_there_are_at_least_twelve():
    assert len(NAMES) >= 12


@pytest.mark.parametrize("strategy", ["pct", "random"])
@pytest.mark.parametrize("name", NAMES)
def test_found(name, strategy):
    module, boot = seeded(name)
    program = partial(module.program, mended=False)
    result = explore(program, strategy=strategy, **boot)
    assert result.failed is not None
    assert result.failed.failure & module.FINDS, (result.failed.failure, result.failed.reports)
    again = attempt_of(program, **boot)(Replay(decode(result.failed.schedule)))
    assert again.failure == result.failed.failure
    assert again.schedule == result.failed.schedule


@pytest.mark.parametrize(("strategy", "runs"), [("pct", 100), ("random", 60), ("exhaustive", 200)])
@pytest.mark.parametrize("name", NAMES)
def test_silent_when_mended(name, strategy, runs):
    module, boot = seeded(name)
    result = explore(partial(module.program, mended=True), strategy=strategy, runs=runs, **boot)
    assert result.failed is None, (result.failed.failure, result.failed.story, result.failed.reports)
