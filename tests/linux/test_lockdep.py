"""``<linux/lockdep.h>``: what a driver says of its locks, and what comes of it."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.lockdep import (
    MAX_LOCKDEP_SUBCLASSES,
    STATIC_LOCKDEP_MAP_INIT,
    lock_class_key,
    lock_map_acquire,
    lock_map_acquire_read,
    lock_map_acquire_try,
    lock_map_acquire_tryread,
    lock_map_release,
    lockdep_assert,
    lockdep_assert_held,
    lockdep_assert_held_once,
    lockdep_assert_held_read,
    lockdep_assert_held_write,
    lockdep_assert_in_irq,
    lockdep_assert_in_softirq,
    lockdep_assert_irqs_disabled,
    lockdep_assert_irqs_enabled,
    lockdep_assert_none_held_once,
    lockdep_assert_not_held,
    lockdep_assert_preemption_disabled,
    lockdep_assert_preemption_enabled,
    lockdep_init_map,
    lockdep_is_held,
    lockdep_is_held_type,
    lockdep_map,
    lockdep_match_class,
    lockdep_off,
    lockdep_on,
    lockdep_register_key,
    lockdep_set_class,
    lockdep_set_class_and_name,
    lockdep_set_class_and_subclass,
    lockdep_set_novalidate_class,
    lockdep_set_subclass,
    lockdep_unregister_key,
    might_lock,
    might_lock_nested,
    might_lock_read,
)
from kmock.linux.mutex import DEFINE_MUTEX, mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.linux.rwsem import DECLARE_RWSEM, down_read, down_write, up_read, up_write
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_irq, spin_unlock, spin_unlock_irq
from kmock.linux.types import Struct, sizeof

ORDER = "lock-order-inversion"


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def nest(outer, inner):
    mutex_lock(outer)
    mutex_lock(inner)
    mutex_unlock(inner)
    mutex_unlock(outer)


def pair():
    """Two mutexes of one class."""
    locks = mutex(), mutex()
    for lock in locks:
        mutex_init(lock)
    return locks


def test_what_is_held(k):
    sem = DECLARE_RWSEM("sem")
    assert not lockdep_is_held(sem)
    down_read(sem)
    assert [lockdep_is_held(sem), lockdep_is_held_type(sem, 0), lockdep_is_held_type(sem, 1)] == [1, 0, 1]
    assert lockdep_is_held_type(sem, -1)
    lockdep_assert_held(sem)
    lockdep_assert_held_once(sem)
    lockdep_assert_held_read(sem)
    with k.expect("lock-assert-failed"):
        lockdep_assert_held_write(sem)
    with k.expect("lock-assert-failed"):
        lockdep_assert_not_held(sem)
    up_read(sem)
    lockdep_assert_not_held(sem)
    lockdep_assert_none_held_once()
    down_write(sem)
    lockdep_assert_held_write(sem)
    with k.expect("lock-assert-failed"):
        lockdep_assert_held_read(sem)
    with k.expect("lock-assert-failed"):
        lockdep_assert_none_held_once()
    up_write(sem)


def test_a_condition_of_its_own(k):
    lockdep_assert(k.cpu)
    with k.expect("lock-assert-failed") as found:
        lockdep_assert(not k.cpu)
    assert found[0].where.function == "test_a_condition_of_its_own"


def test_contexts(k):
    lockdep_assert_irqs_enabled()
    lockdep_assert_preemption_enabled()
    for wrong in (
        lockdep_assert_irqs_disabled,
        lockdep_assert_in_irq,
        lockdep_assert_in_softirq,
        lockdep_assert_preemption_disabled,
    ):
        with k.expect("lock-assert-failed"):
            wrong()
    preempt_disable()
    lockdep_assert_preemption_disabled()
    with k.expect("lock-assert-failed"):
        lockdep_assert_preemption_enabled()
    preempt_enable()
    with k.softirq():
        lockdep_assert_in_softirq()
    with k.hardirq():
        lockdep_assert_in_irq()
        lockdep_assert_irqs_disabled()
        with k.expect("lock-assert-failed"):
            lockdep_assert_in_softirq()
        with k.expect("lock-assert-failed"):
            lockdep_assert_irqs_enabled()


def test_a_lock_that_may_be_taken(k):
    a, b = DEFINE_MUTEX("a"), DEFINE_MUTEX("b")
    mutex_lock(a)
    might_lock(b)
    mutex_unlock(a)
    assert not lockdep_is_held(b)
    with k.expect(ORDER) as found:
        nest(b, a)
    assert found[0].where.function == "nest"


def test_a_reader_that_may_come(k):
    sem, lock = DECLARE_RWSEM("sem"), DEFINE_MUTEX("lock")
    mutex_lock(lock)
    might_lock_read(sem)
    mutex_unlock(lock)
    down_write(sem)
    with k.expect(ORDER):
        might_lock(lock)
    up_write(sem)


def test_a_nested_lock_that_may_be_taken(k):
    a, b = pair()
    mutex_lock(a)
    might_lock_nested(b, 1)
    with k.expect("lock-nested-unannotated"):
        might_lock(b)
    mutex_unlock(a)


def test_a_class_by_key(k):
    a, b = pair()
    parent_key = lock_class_key()
    lockdep_set_class(a, parent_key)
    assert (lockdep_match_class(a, parent_key), lockdep_match_class(b, parent_key)) == (1, 0)
    nest(a, b)
    with k.expect(ORDER) as found:
        nest(b, a)
    assert any("(&parent_key){" in line for line in found[0].lines)


def test_a_class_by_key_and_name(k):
    a, b = pair()
    lockdep_set_class_and_name(a, lock_class_key(), "parent")
    nest(a, b)
    with k.expect(ORDER) as found:
        nest(b, a)
    assert any("(parent){" in line for line in found[0].lines)


def test_a_subclass_for_good(k):
    assert MAX_LOCKDEP_SUBCLASSES == 8
    a, b = pair()
    lockdep_set_subclass(b, 1)
    nest(a, b)
    with k.expect(ORDER):
        nest(b, a)


def test_a_key_and_a_subclass(k):
    key = lock_class_key()
    a, b = pair()
    lockdep_set_class_and_subclass(a, key, 1)
    lockdep_set_class_and_subclass(b, key, 2)
    nest(a, b)


def test_locks_that_nobody_looks_at(k):
    a, b = DEFINE_MUTEX("a"), DEFINE_MUTEX("b")
    lockdep_set_novalidate_class(a)
    nest(a, b)
    nest(b, a)
    c, d = DEFINE_MUTEX("c"), DEFINE_MUTEX("d")
    nest(c, d)
    lockdep_off()
    nest(d, c)
    lockdep_on()


class device(Struct):
    key: lock_class_key
    lock: mutex


def test_a_key_in_allocated_memory(k):
    dev = device.at(kzalloc(sizeof(device), GFP_KERNEL))
    mutex_init(dev.lock)
    with k.expect("lock-uninitialised") as found:
        lockdep_set_class(dev.lock, dev.key)
    assert found[0].headline.startswith("BUG: key ffff")
    lockdep_register_key(dev.key)
    lockdep_set_class(dev.lock, dev.key)
    other = DEFINE_MUTEX("other")
    nest(dev.lock, other)
    lockdep_unregister_key(dev.key)
    mutex_init(dev.lock)
    lockdep_register_key(dev.key)
    lockdep_set_class(dev.lock, dev.key)
    # What was known of the key's locks is forgotten.
    nest(other, dev.lock)
    lockdep_unregister_key(dev.key)
    kfree(dev)


def test_a_map_that_is_no_lock(k):
    map, lock = lockdep_map(), DEFINE_MUTEX("lock")
    lockdep_init_map(map, "firmware", lock_class_key(), 0)
    lock_map_acquire(map)
    mutex_lock(lock)
    mutex_unlock(lock)
    lock_map_release(map)
    mutex_lock(lock)
    with k.expect(ORDER) as found:
        lock_map_acquire(map)
    lock_map_release(map)
    mutex_unlock(lock)
    assert any("(firmware){+.+.}-{0:0}" in line for line in found[0].lines)


def test_readers_of_a_map_may_nest(k):
    map = STATIC_LOCKDEP_MAP_INIT("map", lock_class_key())
    for take in (lock_map_acquire_read, lock_map_acquire_read, lock_map_acquire_tryread):
        take(map)
    for _ in range(3):
        lock_map_release(map)
    lock_map_acquire(map)
    lock_map_acquire_try(map)
    lock_map_release(map)
    with k.expect("lock-recursive"):
        lock_map_acquire(map)
    lock_map_release(map)
    lock_map_release(map)


def test_a_map_is_released_once(k):
    map = STATIC_LOCKDEP_MAP_INIT("map", lock_class_key())
    with k.expect("lock-unlock-not-held") as found:
        lock_map_release(map)
    assert found[0].headline == "WARNING: bad unlock balance detected!"


def test_a_map_that_nobody_initialised(k):
    map = lockdep_map()
    with k.expect("lock-uninitialised"):
        lock_map_acquire(map)
    lock_map_release(map)


def test_maps_say_nothing_where_nobody_looks():
    map = STATIC_LOCKDEP_MAP_INIT("map", lock_class_key())
    with kmock.boot(lockdep=False) as k:
        lock_map_acquire(map)
        lock_map_release(map)
        might_lock(DEFINE_MUTEX("lock"))
        lockdep_assert(0)
        k.shutdown()
        assert k.reports == []


def test_classes_of_one_name_are_told_apart(k):
    a, b = DEFINE_SPINLOCK("lock"), DEFINE_SPINLOCK("lock")
    spin_lock(a)
    spin_lock(b)
    assert "(lock#2){" in k.lockdep.held_lines(k.current)[2]
    spin_unlock(b)
    spin_unlock(a)
    spin_lock_irq(a)
    spin_unlock_irq(a)


def test_spin_locks_sleep_where_raw_nesting_is_proved():
    with kmock.boot(prove_raw_lock_nesting=True) as k:
        spin, sleeping = DEFINE_SPINLOCK("spin"), DEFINE_MUTEX("sleeping")
        mutex_lock(sleeping)
        spin_lock(spin)
        first, second = k.lockdep.held_lines(k.current)[1:]
        spin_unlock(spin)
        mutex_unlock(sleeping)
        k.shutdown()
    assert "-{4:4}," in first
    assert "-{3:3}," in second
    assert k.reports == []
