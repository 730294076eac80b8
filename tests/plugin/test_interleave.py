"""``@pytest.mark.interleave``: a test is run again and again, and one result is told."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

import kmock.plugin.interleave
from kmock.explore.search import explore
from kmock.linux.compiler import READ_ONCE

# What a run inside this one imports for the first time is forgotten when it ends: have all of it here already.
explore(lambda k: (k.spawn(lambda: None), k.join()), runs=1)
WARM = (kmock.plugin.interleave, READ_ONCE)

COUNTER = """
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.slab import kzalloc
from kmock.linux.types import Struct, u32

class Counter(Struct):
    value: u32

@pytest.fixture
def counter(kernel):
    counter = Counter.at(kzalloc(64, GFP_KERNEL))
    yield counter
    kfree(counter)

def increment(counter):
    value = READ_ONCE(counter.value)
    WRITE_ONCE(counter, "value", value + 1)

def run_two(kernel, counter):
    kernel.spawn(increment, counter, cpu=0)
    kernel.spawn(increment, counter, cpu=1)
    kernel.join()
    assert counter.value == 2
"""

LOST = """
@pytest.mark.interleave({})
def test_counter(kernel, counter):
    run_two(kernel, counter)
"""


def schedule_in(result):
    return re.search(r"--kmock-schedule=(\S+)", result.stdout.str())[1]


@pytest.mark.parametrize("strategy", ["pct", "random", "exhaustive"])
def test_what_fails_is_told_once_with_its_schedule(suite, strategy):
    result = suite.run(COUNTER + LOST.format(f"strategy={strategy!r}"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E       assert 1 == 2",
            "*-- interleaving --*",
            f"found in run * (strategy {strategy}, seed 0); 1 switch from the natural order matters:",
            "  1. increment (flow *) on CPU * is stopped before *test_scull.py:* in increment: increment (flow *) on CPU * goes on",
            "again: pytest 'test_scull.py::test_counter' --kmock-schedule=*",
        ],
        consecutive=False,
    )


def test_a_schedule_replays(suite):
    schedule = schedule_in(suite.run(COUNTER + LOST.format("")))
    assert schedule != "-"
    again = suite.run("", f"--kmock-schedule={schedule}")
    again.assert_outcomes(failed=1)
    assert schedule_in(again) == schedule
    suite.run("", "--kmock-schedule=-").assert_outcomes(passed=1)


def test_each_run_has_its_own_machine_and_fixtures_and_shares_the_others(suite):
    result = suite.run(
        COUNTER
        + """
        kernels, ups = [], []

        @pytest.fixture(scope="module")
        def shared():
            ups.append("up")
            yield
            ups.append("down")

        @pytest.mark.interleave(runs=5)
        def test_many(kernel, counter, shared):
            kernels.append(kernel)
            assert counter.value == 0
            increment(counter)

        def test_afterwards(shared):
            assert len(set(map(id, kernels))) == len(kernels) == 5
            assert all(k.down for k in kernels)
            assert ups == ["up"]
        """.replace("\n        ", "\n")
    )
    result.assert_outcomes(passed=2)


def test_what_the_last_test_shares_with_nobody_is_torn_down(suite):
    result = suite.run(
        """
        @pytest.fixture(scope="module")
        def shared():
            yield
            raise ValueError("on its way down")

        @pytest.mark.interleave(runs=3)
        def test_it(kernel, shared): pass
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["E   *ValueError: on its way down"])


def test_findings_fail_a_run(suite):
    result = suite.run(
        COUNTER
        + """
def plain(counter):
    counter.value += 1

@pytest.mark.interleave(runs=3)
def test_race(kernel, counter):
    kernel.spawn(plain, counter)
    kernel.spawn(plain, counter)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E   BUG: KCSAN: data-race in plain / plain", "*in the natural order too"])


def test_a_skip_is_a_skip(suite):
    result = suite.run('@pytest.mark.interleave\ndef test_it(kernel): pytest.skip("not here")\n')
    result.assert_outcomes(skipped=1)


def test_a_test_that_passes_is_told_once(suite):
    suite.run("@pytest.mark.interleave(runs=4)\ndef test_it(kernel): pass\n").assert_outcomes(passed=1)


def test_an_interruption_leaves_what_was_found(suite, monkeypatch):
    attempt = kmock.plugin.interleave.ItemSearch._attempt

    def interrupted(self, strategy):
        if self._search.shrinking:
            raise KeyboardInterrupt
        return attempt(self, strategy)

    monkeypatch.setattr(kmock.plugin.interleave.ItemSearch, "_attempt", interrupted)
    suite.write(COUNTER + LOST.format("strategy='random', preemptions=5"))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = suite.pytester.runpytest_inprocess("-p", "kmock.plugin", no_reraise_ctrlc=True)
    result.stdout.fnmatch_lines(["again: pytest * --kmock-schedule=*", "*KeyboardInterrupt*"])


def test_progress_is_shown_on_a_terminal(suite, monkeypatch):
    monkeypatch.setattr(kmock.plugin.interleave, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(kmock.plugin.interleave, "_can_show", bool)
    result = suite.run("@pytest.mark.interleave(runs=4)\ndef test_it(kernel): pass\n")
    assert "test_scull.py::test_it: 3 of 4 interleavings" in result.stdout.str()


# -- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("strategy='dfs'", "*: strategy: 'dfs' is none of pct, random, exhaustive"),
        ("runs=0", "*: runs: 0 is not a number from 1 on"),
        ("runs='many'", "*: runs: 'many' is not a number from 1 on"),
        ("preemptions=-1", "*: preemptions: -1 is not a number from 0 on"),
        ("seed=True", "*: seed: True is not a number from 0 on"),
        ("run=3", "*: unknown argument 'run': expected strategy, runs, preemptions, seed"),
        ("'pct'", "*: takes no positional argument, got 'pct': name it"),
    ],
)
def test_mistakes_in_the_marker(suite, arguments, said):
    result = suite.run(f"\n@pytest.mark.interleave({arguments})\ndef test_it(kernel): pass\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.stderr.lines if line.startswith("ERROR: ")]
    assert fnmatchcase(line, f"ERROR: test_scull.py:*: @pytest.mark.interleave{said}")


def test_a_test_without_a_kernel(suite):
    result = suite.run("\n@pytest.mark.interleave\ndef test_it(): pass\n")
    result.stderr.fnmatch_lines(["*: this test doesn't use the fixture `kernel`, so there is nothing to interleave"])


def test_a_schedule_that_is_none(suite):
    result = suite.run("\n@pytest.mark.interleave\ndef test_it(kernel): pass\n", "--kmock-schedule=5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --kmock-schedule: '5' is no switch such as 1:3:2*"])
