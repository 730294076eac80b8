"""Runs small suites inside the suite: each test writes one, runs it, and looks at what pytest says."""

from __future__ import annotations

import textwrap

import pytest

import kmock
import kmock.plugin.contexts
import kmock.plugin.summary
import kmock.plugin.suppress
from kmock.linux.slab import GFP_KERNEL, kmalloc
from kmock.linux.types import NULL
from kmock.plugin import outcome, watch

# What a run inside this one imports for the first time is forgotten when it ends: have all of it here already.
WARM = (outcome, watch, NULL)
with kmock.boot() as _kernel:
    _kernel.census.begin_call()
    with _kernel.hardirq():
        kmalloc(64, GFP_KERNEL)

DRIVER = """
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def scull_open():
    return kmalloc(64, GFP_KERNEL)  # opened


def scull_close(dev):
    kfree(dev)


def scull_close_twice(dev):
    kfree(dev)
    kfree(dev)  # again
"""

IMPORTS = """
import unittest

import kmock
import pytest
from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import NULL
from scull import scull_close, scull_close_twice, scull_open

"""


class Suite:
    """A directory with a driver ``scull.py`` and one file of tests."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.monkeypatch = monkeypatch
        pytester.makepyfile(scull=DRIVER)
        pytester.syspathinsert()

    def write(self, tests: str) -> None:
        self.pytester.makepyfile(test_scull=IMPORTS + textwrap.dedent(tests))

    def ini(self, text: str) -> None:
        self.pytester.makeini("[pytest]\n" + textwrap.dedent(text))

    def run(self, tests: str = "", *args: str) -> pytest.RunResult:
        """Run ``tests`` in this process."""
        if tests:
            self.write(tests)
        with self.monkeypatch.context() as patch:  # finding plugins takes longer than most of these runs
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return self.pytester.runpytest_inprocess("-p", "kmock.plugin", *args)

    def run_apart(self, tests: str, *args: str) -> pytest.RunResult:
        """Run ``tests`` in a process of its own."""
        self.write(tests)
        return self.pytester.runpytest_subprocess(*args)


@pytest.fixture
def suite(pytester, monkeypatch):
    return Suite(pytester, monkeypatch)


def line_of(text: str, mark: str) -> int:
    """The number of the line of the driver that has ``mark``."""
    return next(n for n, line in enumerate(text.strip().splitlines(), 1) if mark in line)


OPENED = line_of(DRIVER, "# opened")
AGAIN = line_of(DRIVER, "# again")
