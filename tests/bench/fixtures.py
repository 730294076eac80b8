"""What the ``kernel`` fixture costs a test, beside pyfakefs' ``fs``: set up and torn down, as pytest times it."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest

FIXTURE_BUDGET = 0.25
ROUNDS = 25
TESTS = f"""
import pytest

@pytest.fixture
def bare():
    yield

@pytest.mark.parametrize("name", ["bare", "fs", "kernel"] * {ROUNDS})
def test_takes(name, request):
    request.getfixturevalue(name)
"""


class Stopwatch:
    """A pytest plugin that keeps the time of each test, by the fixture that it takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.least = dict.fromkeys(("bare", "fs", "kernel"), float("inf"))

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call":
            assert report.passed, report.longrepr
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.when == "teardown":
            name = report.nodeid.partition("[")[2].rstrip("]0123456789")
            self.least[name] = min(self.least[name], self.seconds[report.nodeid])


def fixture_seconds() -> tuple[float, float]:
    """Return the least seconds that ``kernel`` and ``fs`` add to a test, over a fixture that does nothing."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        file = Path(folder, "test_fixtures.py")
        file.write_text(TESTS, encoding="utf-8")
        pytest.main(
            ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", folder, str(file)], plugins=[watch]
        )
    return watch.least["kernel"] - watch.least["bare"], watch.least["fs"] - watch.least["bare"]
