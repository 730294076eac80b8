"""refcount_t, kref and the atomic types."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.atomic import (
    ATOMIC_INIT,
    atomic64_add_return,
    atomic64_t,
    atomic_add_negative,
    atomic_add_unless,
    atomic_cmpxchg,
    atomic_dec_and_test,
    atomic_dec_if_positive,
    atomic_fetch_add,
    atomic_inc,
    atomic_inc_return,
    atomic_or,
    atomic_read,
    atomic_set,
    atomic_sub_and_test,
    atomic_t,
    atomic_xchg,
)
from kmock.linux.kernel import container_of
from kmock.linux.kref import kref, kref_get, kref_get_unless_zero, kref_init, kref_put, kref_put_mutex, kref_read
from kmock.linux.mutex import DEFINE_MUTEX, mutex_is_locked, mutex_unlock
from kmock.linux.refcount import (
    REFCOUNT_INIT,
    refcount_dec_and_lock,
    refcount_dec_and_test,
    refcount_inc,
    refcount_inc_not_zero,
    refcount_read,
    refcount_set,
    refcount_sub_and_test,
    refcount_t,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_is_locked, spin_unlock
from kmock.linux.types import Struct, sizeof, u32

SHARED = REFCOUNT_INIT(1)


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def test_a_counter_made_at_import_starts_anew_in_each_kernel():
    for _ in range(2):
        with kmock.boot() as k:
            refcount_inc(SHARED)
            assert refcount_read(SHARED) == 2
        assert k.reports == []


def test_a_refcount_counts(k):
    users = refcount_t()
    refcount_set(users, 2)
    assert not refcount_dec_and_test(users)
    assert refcount_inc_not_zero(users)
    assert refcount_sub_and_test(2, users)
    assert not refcount_inc_not_zero(users)


def test_a_misused_refcount_sticks_and_says_so_once(k):
    users = REFCOUNT_INIT(0)
    with k.expect("refcount-underflow") as found:
        refcount_dec_and_test(users)
    refcount_dec_and_test(users)
    assert len(k.reports) == 1
    assert found[0].headline == "refcount_t: underflow; use-after-free."
    assert refcount_read(users) == 0xC0000000


def test_the_check_can_be_off():
    with kmock.boot(refcount=False) as k:
        refcount_dec_and_test(REFCOUNT_INIT(0))
    assert k.reports == []


def test_the_last_one_takes_the_lock(k):
    lock = DEFINE_SPINLOCK("lock")
    users = REFCOUNT_INIT(2)
    assert not refcount_dec_and_lock(users, lock)
    assert not spin_is_locked(lock)
    assert refcount_dec_and_lock(users, lock)
    spin_unlock(lock)


class Dev(Struct):
    id: u32
    ref: kref
    hits: atomic_t


def test_a_kref_in_a_struct_releases_its_container(k):
    released = []

    def release(ref):
        dev = container_of(ref, Dev, "ref")
        released.append(dev.id)
        kfree(dev)

    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    dev.id = 7
    kref_init(dev.ref)
    atomic_inc(dev.hits)
    assert atomic_read(dev.hits) == 1
    kref_get(dev.ref)
    assert kref_read(dev.ref) == 2
    assert kref_put(dev.ref, release) == 0
    assert kref_get_unless_zero(dev.ref) == 1
    assert kref_put(dev.ref, release) == 0
    assert kref_put(dev.ref, release) == 1
    assert released == [7]


def test_kref_put_mutex(k):
    lock = DEFINE_MUTEX("lock")
    ref = kref()
    kref_init(ref)
    assert kref_put_mutex(ref, lambda ref: mutex_unlock(lock), lock) == 1
    assert not mutex_is_locked(lock)


def test_getting_a_dead_kref(k):
    ref = kref()
    with k.expect("refcount-inc-from-zero"):
        kref_get(ref)


def test_atomics(k):
    v = ATOMIC_INIT(5)
    assert atomic_inc_return(v) == 6
    assert atomic_fetch_add(4, v) == 6
    assert atomic_xchg(v, 1) == 10
    assert atomic_dec_and_test(v)
    assert not atomic_add_unless(v, 1, 0)
    assert atomic_dec_if_positive(v) == -1
    assert atomic_read(v) == 0
    assert atomic_cmpxchg(v, 0, 3) == 0
    atomic_or(4, v)
    assert atomic_read(v) == 7
    assert atomic_sub_and_test(7, v)
    assert atomic_add_negative(-1, v)
    atomic_set(v, 0x7FFFFFFF)
    atomic_inc(v)
    assert atomic_read(v) == -0x80000000
    assert atomic64_add_return(1 << 40, atomic64_t(1)) == (1 << 40) + 1
