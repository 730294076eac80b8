"""<linux/percpu-refcount.h>: counts that nobody adds up until they are killed."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.errno import ENOMEM
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.percpu_refcount import (
    PERCPU_REF_ALLOW_REINIT,
    PERCPU_REF_INIT_ATOMIC,
    PERCPU_REF_INIT_DEAD,
    percpu_ref,
    percpu_ref_exit,
    percpu_ref_get,
    percpu_ref_get_many,
    percpu_ref_init,
    percpu_ref_is_dying,
    percpu_ref_is_zero,
    percpu_ref_kill,
    percpu_ref_kill_and_confirm,
    percpu_ref_put,
    percpu_ref_put_many,
    percpu_ref_reinit,
    percpu_ref_resurrect,
    percpu_ref_switch_to_atomic,
    percpu_ref_switch_to_atomic_sync,
    percpu_ref_switch_to_percpu,
    percpu_ref_tryget,
    percpu_ref_tryget_live,
    percpu_ref_tryget_live_rcu,
    percpu_ref_tryget_many,
)
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock


class Counted:
    def __init__(self, flags=0):
        self.ref = percpu_ref()
        self.released = 0
        self.confirmed = 0
        assert percpu_ref_init(self.ref, self.release, flags, GFP_KERNEL) == 0

    def release(self, ref):
        assert ref is self.ref
        self.released += 1

    def confirm(self, ref):
        self.confirmed += 1


def test_the_last_put_after_the_kill_releases(kernel):
    it = Counted()
    percpu_ref_get_many(it.ref, 3)
    assert percpu_ref_tryget(it.ref)
    assert percpu_ref_tryget_many(it.ref, 2)
    percpu_ref_put_many(it.ref, 5)
    assert not percpu_ref_is_zero(it.ref)
    percpu_ref_kill(it.ref)
    assert percpu_ref_is_dying(it.ref)
    kernel.advance(0.1)
    assert it.released == 0
    assert percpu_ref_tryget(it.ref)
    percpu_ref_put_many(it.ref, 2)
    assert it.released == 1
    assert percpu_ref_is_zero(it.ref)
    assert not percpu_ref_tryget(it.ref)
    percpu_ref_exit(it.ref)


def test_a_kill_is_confirmed_after_a_grace_period(kernel):
    it = Counted()
    percpu_ref_get(it.ref)
    rcu_read_lock()
    percpu_ref_kill_and_confirm(it.ref, it.confirm)
    assert not percpu_ref_tryget_live(it.ref)
    assert it.confirmed == 0
    rcu_read_unlock()
    kernel.advance(0.1)
    assert it.confirmed == 1
    percpu_ref_put(it.ref)
    assert it.released == 1
    percpu_ref_exit(it.ref)


def test_puts_before_the_sum_is_known_release_only_once(kernel):
    it = Counted()
    percpu_ref_get(it.ref)
    percpu_ref_kill(it.ref)
    percpu_ref_put(it.ref)
    assert it.released == 0
    kernel.advance(0.1)
    assert it.released == 1
    percpu_ref_exit(it.ref)


def test_live_references(kernel):
    it = Counted()
    assert percpu_ref_tryget_live(it.ref)
    rcu_read_lock()
    assert percpu_ref_tryget_live_rcu(it.ref)
    rcu_read_unlock()
    percpu_ref_put_many(it.ref, 2)
    with kernel.expect("rcu-deref-outside"):
        assert percpu_ref_tryget_live_rcu(it.ref)
    percpu_ref_put(it.ref)
    percpu_ref_kill(it.ref)
    kernel.advance(0.1)
    percpu_ref_exit(it.ref)


def test_atomic_from_the_start_releases_at_once(kernel):
    it = Counted(PERCPU_REF_INIT_ATOMIC)
    percpu_ref_get(it.ref)
    percpu_ref_put(it.ref)
    assert it.released == 0
    percpu_ref_kill_and_confirm(it.ref, it.confirm)
    assert (it.confirmed, it.released) == (1, 1)
    percpu_ref_exit(it.ref)


def test_switching_there_and_back(kernel):
    it = Counted(PERCPU_REF_ALLOW_REINIT)
    percpu_ref_get(it.ref)
    percpu_ref_switch_to_atomic(it.ref, it.confirm)
    kernel.advance(0.1)
    assert (it.confirmed, it.ref.count) == (1, 2)
    percpu_ref_switch_to_percpu(it.ref)
    percpu_ref_put(it.ref)
    percpu_ref_switch_to_atomic_sync(it.ref)
    assert it.ref.count == 1
    percpu_ref_kill(it.ref)
    assert it.released == 1
    percpu_ref_exit(it.ref)


def test_back_from_the_dead(kernel):
    it = Counted(PERCPU_REF_INIT_DEAD)
    assert percpu_ref_is_zero(it.ref)
    assert not percpu_ref_tryget_live(it.ref)
    percpu_ref_reinit(it.ref)
    assert percpu_ref_tryget_live(it.ref)
    percpu_ref_kill(it.ref)
    kernel.advance(0.1)
    percpu_ref_resurrect(it.ref)
    percpu_ref_put(it.ref)
    percpu_ref_kill(it.ref)
    kernel.advance(0.1)
    assert it.released == 1
    percpu_ref_exit(it.ref)


def test_no_memory():
    with kmock.boot() as k:
        k.faults.fail_nth(1)
        assert percpu_ref_init(percpu_ref(), print, 0, GFP_KERNEL) == -ENOMEM


# -- misuse -------------------------------------------------------------------------------------------------------


def test_the_kernel_finds_an_underflow_when_it_adds_up():
    with kmock.boot(cmdline="kasan_multi_shot") as k:
        it = Counted()
        with k.expect("percpu-ref-underflow", count=2) as found:
            percpu_ref_put(it.ref)
            percpu_ref_kill(it.ref)
            k.advance(0.1)
        assert found[1].headline == "percpu ref (release) <= 0 (0) after switching to atomic"
        percpu_ref_exit(it.ref)


def test_one_put_too_many_after_the_release():
    with kmock.boot() as k:
        it = Counted()
        percpu_ref_kill(it.ref)
        k.advance(0.1)
        with k.expect("percpu-ref-underflow", count=1):
            percpu_ref_put(it.ref)
        assert it.released == 1
        percpu_ref_exit(it.ref)


def test_killed_twice():
    with kmock.boot() as k:
        it = Counted(PERCPU_REF_INIT_ATOMIC)
        percpu_ref_get(it.ref)
        percpu_ref_kill(it.ref)
        with k.expect("percpu-ref-underflow") as found:
            percpu_ref_kill(it.ref)
        assert found[0].headline == "percpu_ref_kill_and_confirm called more than once on release!"
        percpu_ref_exit(it.ref)


@pytest.mark.parametrize("call", [percpu_ref_reinit, percpu_ref_resurrect])
def test_brought_back_while_alive(call):
    with kmock.boot() as k:
        it = Counted(PERCPU_REF_ALLOW_REINIT)
        with k.expect("percpu-ref-underflow"):
            call(it.ref)
        percpu_ref_exit(it.ref)


def test_percpu_mode_has_to_be_allowed():
    with kmock.boot() as k:
        it = Counted()
        percpu_ref_switch_to_atomic(it.ref, None)
        with k.expect("percpu-ref-underflow") as found:
            percpu_ref_switch_to_percpu(it.ref)
        assert "lib/percpu-refcount.c:246" in found[0].headline
        k.advance(0.1)
        percpu_ref_exit(it.ref)


def test_never_given_back():
    with kmock.boot() as k:
        Counted()
    assert [r.kind for r in k.reports] == ["percpu-leak"]
