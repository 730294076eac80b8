"""Reference counts: who holds on to an object that is left at the end."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.kref import kref, kref_get, kref_get_unless_zero, kref_init, kref_put
from kmock.linux.refcount import refcount_dec_and_test, refcount_inc, refcount_set, refcount_t
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import Struct, sizeof, u32


class Session(Struct):
    id: u32
    users: refcount_t
    ref: kref


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


@pytest.fixture
def session(k):
    found = Session.at(kmalloc(sizeof(Session), GFP_KERNEL))
    kref_init(found.ref)
    refcount_set(found.users, 1)
    return found


def left(k):
    k.shutdown()
    return [report.kind for report in k.reports]


def test_a_get_without_its_put_is_named(k, session):
    kref_get(session.ref)
    kref_put(session.ref, kfree)
    assert left(k) == ["refcount-leak"]
    assert {"access", "allocated"} <= k.reports[0].stacks.keys()


def test_the_get_that_may_fail_counts_too(k, session):
    assert kref_get_unless_zero(session.ref)
    assert left(k) == ["refcount-leak"]


def test_so_does_a_plain_counter(k, session):
    refcount_inc(session.users)
    assert not refcount_dec_and_test(session.users)
    assert left(k) == ["refcount-leak"]


def test_an_object_that_nobody_got_is_simply_lost(k, session):
    assert left(k) == ["leak-reachable"]


def test_a_count_of_zero_holds_nothing(k, session):
    kref_get(session.ref)
    kref_put(session.ref, kfree)
    kref_put(session.ref, lambda ref: None)
    assert left(k) == ["leak-reachable"]
