"""``struct fault_attr``: the tests of ``should_fail_ex()`` and their order."""

from __future__ import annotations

import random

import pytest

import kmock
from kmock.fault.attr import FaultAttr
from kmock.kernel.task import Task
from kmock.linux.fault_inject import DECLARE_FAULT_ATTR, setup_fault_attr, should_fail


@pytest.fixture
def k():
    with kmock.boot(kmemleak=False) as kernel:
        yield kernel


def pattern(attr, calls=10, size=1):
    return "".join("X" if should_fail(attr, size) else "." for _ in range(calls))


def test_a_declared_attr_never_fails(k):
    assert pattern(DECLARE_FAULT_ATTR("mine")) == ".........."


def test_space_is_used_up_before_interval_counts(k):
    # Four calls pay for the space; then every third fails.
    assert pattern(FaultAttr("mine", probability=100, times=-1, space=5, interval=3)) == "......X..X"


def test_calls_that_a_lottery_spares_do_not_use_up_times(k):
    attr = FaultAttr("mine", probability=50, times=3)
    assert pattern(attr, 40).count("X") == 3
    assert attr.times == 0


def test_the_lottery_is_drawn_from_the_seed():
    def play(seed):
        with kmock.boot(seed=seed):
            return pattern(FaultAttr("mine", probability=50, times=-1), 64)

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_task_filter_wants_a_marked_task_in_task_context(k):
    attr = FaultAttr("mine", probability=100, times=-1, task_filter=True)
    assert pattern(attr, 3) == "..."
    k.current.make_it_fail = True
    assert pattern(attr, 3) == "XXX"
    with k.hardirq():
        assert pattern(attr, 3) == "..."


def inner(attr):
    return should_fail(attr, 1)


def test_require_and_reject_look_at_the_drivers_stack(k):
    only = FaultAttr("mine", probability=100, times=-1, require=("inner",))
    assert inner(only)
    assert not should_fail(only, 1)
    never = FaultAttr("mine", probability=100, times=-1, reject=("inner",))
    assert not inner(never)
    assert should_fail(never, 1)
    by_file = FaultAttr("mine", probability=100, times=-1, require=("test_attr.py",))
    assert should_fail(by_file, 1)


def test_the_stack_is_looked_at_last(k):
    attr = FaultAttr("mine", probability=100, times=-1, interval=2, reject=("inner",))
    assert not inner(attr)
    assert should_fail(attr, 1), "the call that was rejected has been counted"


def test_setup_reads_four_numbers(k):
    attr = DECLARE_FAULT_ATTR("mine")
    assert setup_fault_attr(attr, "2,100,0,-1") == 1
    assert (attr.interval, attr.probability, attr.space, attr.times) == (2, 100, 0, -1)
    assert setup_fault_attr(attr, "2,100") == 0
    assert "FAULT_INJECTION: failed to parse arguments" in k.dmesg()


def test_messages_keep_to_the_rate_limit():
    attr = FaultAttr("mine", verbose_ratelimit_interval_ms=1000, verbose_ratelimit_burst=2)
    assert [attr.speaks(0) for _ in range(3)] == [True, True, False]
    assert attr.speaks(1_000_000_000)
    attr.verbose = 0
    assert not attr.speaks(2_000_000_000)


def test_a_private_attr_needs_nothing_else(k):
    attr = FaultAttr("mine", probability=100)
    task = Task(1, "sh")
    assert attr.due(1, task, random.Random(0), in_task=True, stack=tuple)
    assert not k.faults.active
