"""The replay machinery tells every way in which a scenario can differ from its recording."""

from __future__ import annotations

import pytest

from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from tests.conformance.recordings import Recording
from tests.conformance.replay import Registry, Scenario, pending, run, scenario

MACHINE = {"cpus": 2, "memory": "64M", "nodes": 1, "boot": "", "kernel": "kasan"}


@pytest.fixture
def replay(monkeypatch):
    """Plays ``f(k, s)`` against a recording made up here."""

    def play(f, *, observed=None, headlines=(), outcome="continues", misses=False, **options):
        reports = [{"headline": headline} for headline in headlines]
        made_up = Recording("made.up", "slab", MACHINE, [], observed or {}, reports, outcome, misses)
        monkeypatch.setattr("tests.conformance.replay.recording", lambda id: made_up)
        return run(Scenario("made.up", f, **options))

    return play


def double_free(k, s):
    p = kmalloc(64, GFP_KERNEL)
    kfree(p)
    kfree(p)


def wild(k, s):
    kmalloc(64, GFP_KERNEL) and k.bug("driver-bug", "drivers/x.c:1")


def nothing(k, s):
    pass


DOUBLE_FREE = "BUG: KASAN: double-free in __kmem_cache_free+<off>/<off>"


def test_what_agrees_passes(replay):
    replay(double_free, headlines=[DOUBLE_FREE])
    replay(nothing)
    replay(wild, headlines=["kernel BUG at drivers/x.c:1!"], outcome="bug")
    replay(double_free, misses=True)


@pytest.mark.parametrize(
    ("f", "recorded", "told"),
    [
        (nothing, {"observed": {"p": 1}}, "p: recorded 1, never checked"),
        (lambda k, s: s.check("p", 2), {"observed": {"p": 1}}, "p: recorded 1, got 2"),
        (lambda k, s: s.check("p", 1), {"observed": {"p": [1, 2]}}, "p: recorded \\[1, 2\\], got 1"),
        (nothing, {"headlines": [DOUBLE_FREE]}, "not in the log, or not in this order"),
        (double_free, {}, "correct use, but kmock reported: BUG: KASAN: double-free"),
        (nothing, {"misses": True}, "a mistake, but kmock reported nothing"),
        (nothing, {"outcome": "oops"}, "outcome oops, but it ran to its end"),
        (wild, {}, "outcome continues, but KernelOops was raised"),
        (lambda k, s: s.check("q", 1), {"observed": {"p": 1}}, "made.up has no value 'q'"),
        (lambda k, s: s.except_("p", " "), {"observed": {"p": 1}}, "'p' is excepted for no reason"),
    ],
)
def test_what_differs_is_told(replay, f, recorded, told):
    with pytest.raises((AssertionError, ValueError), match=told):
        replay(f, **recorded)


def test_exceptions_are_kept_with_their_reasons(replay):
    def f(k, s):
        s.except_("p", "belongs to that machine")

    done = replay(f, observed={"p": 1}, headlines=[DOUBLE_FREE], except_headlines={"double-free": "no such thing here"})
    assert sorted(done.excepted.values()) == ["belongs to that machine", "no such thing here"]


def test_what_kmock_tells_more_or_less_needs_a_reason(replay):
    replay(double_free, more_reports="the recorded kernel had this check off")
    replay(nothing, misses=True, fewer_reports="not built")


def test_a_recording_is_registered_once(monkeypatch):
    monkeypatch.setattr("tests.conformance.replay.registry", Registry())
    scenario("slab.zero-size")(nothing)
    with pytest.raises(ValueError, match="registered twice"):
        pending("slab.zero-size", "waits for something")
    with pytest.raises(ValueError, match="waits for no reason"):
        pending("slab.null-deref", "")
    with pytest.raises(ValueError, match="did you mean"):
        scenario("slab.zero-sizes")(nothing)
