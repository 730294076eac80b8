"""The search itself: what is visited, that it can be had again, and what is left of it in the end."""

from __future__ import annotations

from itertools import pairwise
from math import comb

import pytest

from kmock.explore.schedule import Switch, decode, encode
from kmock.explore.search import Plan, Search, attempt_of, explore
from kmock.explore.strategy import Exhaustive, Pct, RandomWalk, Replay
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.interrupt import IRQ_HANDLED, free_irq, irq_set_affinity, request_irq
from kmock.linux.irqflags import local_irq_disable, local_irq_enable
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

STEPS = 10


class Counter(Struct):
    value: u32
    other: u32


def steps(place, log, name):
    for n in range(STEPS):
        WRITE_ONCE(place, "value" if name == "a" else "other", n)
        log.append(name)


def two_tasks(seen):
    """Return a program of two tasks that take ten steps each, and a list of the orders in which they took them."""

    def program(k):
        place = Counter.at(kzalloc(64, GFP_KERNEL))
        log = []
        k.spawn(steps, place, log, "a", cpu=0)
        k.spawn(steps, place, log, "b", cpu=1)
        k.join()
        kfree(place)
        seen.append("".join(log))

    return program


def closed_form(n, preemptions):
    """Orders of two tasks with ``n`` steps each and at most so many preemptions, which cut a task into blocks of steps.

    A sequence of b blocks has b - 1 switches, and the last of them happens because a task has ended.
    """
    blocks = range(2, preemptions + 3)
    return 2 * sum(comb(n - 1, -(-b // 2) - 1) * comb(n - 1, b // 2 - 1) for b in blocks)


@pytest.mark.parametrize("preemptions", [0, 1, 2])
def test_exhaustive_visits_every_schedule_up_to_the_bound_once(preemptions):
    seen = []
    result = explore(two_tasks(seen), strategy="exhaustive", preemptions=preemptions)
    assert result.exhausted
    assert result.failed is None
    assert result.runs == len(seen) == closed_form(STEPS, preemptions)
    assert len(set(seen)) == len(seen)
    assert all(sum(x != y for x, y in pairwise(order)) - 1 <= preemptions for order in seen)


def test_fewest_preemptions_come_first():
    seen = []
    explore(two_tasks(seen), strategy="exhaustive", preemptions=2)
    switches = [sum(x != y for x, y in pairwise(order)) for order in seen]
    assert switches == sorted(switches)


@pytest.mark.parametrize("strategy", ["pct", "random"])
def test_the_same_seed_makes_the_same_runs(strategy):
    runs = []
    for seed in (1, 1, 2):
        seen = []
        assert explore(two_tasks(seen), strategy=strategy, runs=20, seed=seed).runs == 20
        runs.append(seen)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def lost_update(k):
    counter = Counter.at(kzalloc(64, GFP_KERNEL))

    def increment():
        WRITE_ONCE(counter, "other", 1)
        value = READ_ONCE(counter.value)
        WRITE_ONCE(counter, "value", value + 1)
        WRITE_ONCE(counter, "other", 0)

    for cpu in range(3):
        k.spawn(increment, cpu=cpu)
    k.join()
    value = counter.value
    kfree(counter)
    assert value == 3


@pytest.mark.parametrize("strategy", ["pct", "random", "exhaustive"])
def test_what_is_found_is_shrunk_and_replays(strategy):
    result = explore(lost_update, strategy=strategy, cpus=4)
    assert result.failed is not None
    # Somebody is stopped between load and store: that is all.
    assert len(result.failed.switches) == 1
    again = attempt_of(lost_update, cpus=4)(Replay(decode(result.failed.schedule)))
    assert (again.failure, again.schedule) == ({"AssertionError"}, result.failed.schedule)
    fewer = attempt_of(lost_update, cpus=4)(Replay(result.failed.switches[1:]))
    assert not fewer.failure


def test_the_story_names_who_was_stopped_where():
    result = explore(lost_update, strategy="exhaustive", cpus=4)
    (step,) = [step for step in result.failed.story if "is stopped" in step]
    assert "increment (flow " in step
    assert "explore/test_search.py:" in step
    assert "goes on" in step


def test_the_number_of_runs_is_kept():
    assert explore(two_tasks([]), runs=7).runs == 7
    assert explore(two_tasks([]), strategy="exhaustive", runs=7).runs == 7
    assert Plan().limit == 200
    assert Plan("exhaustive").limit is None


def test_an_interruption_keeps_what_was_found():
    attempt = attempt_of(lost_update, cpus=4)
    tried = []

    def interrupted(strategy):
        tried.append(strategy)
        if isinstance(strategy, Replay) and sum(isinstance(s, Replay) for s in tried) > 1:
            raise KeyboardInterrupt
        return attempt(strategy)

    search = Search(Plan("random"), interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.explore()
    assert search.result.failed.failure == {"AssertionError"}


def test_progress_is_told_of_every_run():
    told = []
    Search(Plan(runs=5), attempt_of(two_tasks([])), lambda search: told.append(search.result.runs)).explore()
    assert told == [1, 2, 3, 4, 5]


# -- schedules as text --------------------------------------------------------------------------------------


def test_schedules_as_text():
    switches = [Switch(1, 3, "2"), Switch(0, 12, "t"), Switch(2, 1, "c1")]
    assert encode(switches) == "1:3:2,0:12:t,2:1:c1"
    assert decode(encode(switches)) == switches
    assert encode([]) == "-"
    assert decode("-") == []


@pytest.mark.parametrize("text", ["", "1:2", "1:2:x", "1:2:3;4:5:6", "a"])
def test_a_schedule_that_is_none(text):
    with pytest.raises(ValueError, match="is no switch such as 1:3:2"):
        decode(text)


# -- what may be interleaved --------------------------------------------------------------------------------


def orders(body, *, cpus, runs=300, strategy="exhaustive"):
    """Return the orders in which two tasks that run ``body(mark)`` on ``cpus`` come to their marks."""
    seen = set()

    def program(k):
        place = Counter.at(kzalloc(64, GFP_KERNEL))
        log = []

        def task(name):
            def mark():
                WRITE_ONCE(place, "value", 0)
                log.append(name)

            body(mark)

        for name, cpu in zip("ab", cpus, strict=True):
            k.spawn(task, name, cpu=cpu)
        k.join()
        kfree(place)
        seen.add("".join(log))

    result = explore(program, strategy=strategy, runs=runs)
    assert result.failed is None
    return seen


def atomic(mark):
    preempt_disable()
    mark()
    mark()
    preempt_enable()


def test_without_preemption_nobody_else_runs_on_that_processor():
    assert orders(atomic, cpus=(0, 0)) == {"aabb", "bbaa"}


def test_but_other_processors_go_on():
    assert orders(atomic, cpus=(0, 1)) == {"aabb", "bbaa", "abab", "abba", "baab", "baba"}


def test_tasks_of_one_processor_preempt_each_other():
    def body(mark):
        mark()
        mark()

    assert len(orders(body, cpus=(0, 0))) == 6


def landings(*, pin, masked=False):
    """Return on which processors an interrupt was handled, and after which steps of a task on processor 0."""
    seen = set()

    def program(k):
        place = Counter.at(kzalloc(64, GFP_KERNEL))
        log = []

        def handler(irq, dev):
            log.append(f"irq{k.cpu.id}")
            return IRQ_HANDLED

        def task():
            if masked:
                local_irq_disable()
            for n in range(2):
                WRITE_ONCE(place, "value", n)
                log.append(str(n))
            if masked:
                local_irq_enable()

        assert request_irq(5, handler, 0, "dev", place) == 0
        if pin:
            irq_set_affinity(5, 0)
        k.spawn(task, cpu=0)
        k.spawn(k.raise_irq, 5, cpu=1)
        k.join()
        free_irq(5, place)
        kfree(place)
        seen.add(" ".join(log))

    assert explore(program, strategy="exhaustive", runs=400).failed is None
    return seen


def test_an_interrupt_lands_anywhere():
    assert landings(pin=False) == {
        f"{a}irq{cpu}{b}" for a, b in (("", " 0 1"), ("0 ", " 1"), ("0 1 ", "")) for cpu in (0, 1)
    }


def test_an_interrupt_keeps_to_its_processor():
    assert landings(pin=True) == {"irq0 0 1", "0 irq0 1", "0 1 irq0"}


def test_an_interrupt_waits_while_interrupts_are_off():
    assert landings(pin=True, masked=True) == {"irq0 0 1", "0 1 irq0"}


# -- strategies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: Pct(0, 2), lambda: RandomWalk(0), lambda: Exhaustive(2)])
def test_strategies_find_more_than_the_natural_order(make):
    strategy, seen = make(), []
    attempt = attempt_of(two_tasks(seen))
    for _ in range(30):
        assert strategy.begin()
        attempt(strategy)
        strategy.end()
    assert len(set(seen)) > 10


def test_exhaustive_knows_what_is_left():
    strategy = Exhaustive(1)
    attempt = attempt_of(two_tasks([]))
    strategy.begin()
    attempt(strategy)
    assert strategy.left == STEPS
