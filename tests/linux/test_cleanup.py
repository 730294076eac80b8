"""Guards: what is taken at the beginning of a scope and given back at its end, however that is reached."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux import cleanup
from kmock.linux.cleanup import (
    DEFINE_GUARD,
    DEFINE_GUARD_COND,
    DEFINE_LOCK_GUARD_0,
    DEFINE_LOCK_GUARD_1,
    guard,
    mutex,
    mutex_guard,
    mutex_intr,
    mutex_try,
    scoped_guard,
    spinlock_irqsave,
)
from kmock.linux.irqflags import irqs_disabled
from kmock.linux.mutex import DEFINE_MUTEX, mutex_is_locked, mutex_lock, mutex_unlock
from kmock.linux.preempt import preempt_count
from kmock.linux.rcupdate import rcu_preempt_depth
from kmock.linux.rwlock import DEFINE_RWLOCK, read_lock, write_lock_irqsave
from kmock.linux.rwsem import DECLARE_RWSEM, rwsem_is_locked
from kmock.linux.spinlock import DEFINE_RAW_SPINLOCK, DEFINE_SPINLOCK, spin_is_locked


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def test_a_mutex_is_held_in_the_block(k):
    lock = DEFINE_MUTEX("lock")
    with guard(mutex)(lock):
        assert mutex_is_locked(lock)
    assert not mutex_is_locked(lock)
    with mutex_guard(lock):
        assert mutex_is_locked(lock)
    assert not mutex_is_locked(lock)


def test_every_way_out_gives_it_back(k):
    lock = DEFINE_SPINLOCK("lock")

    def early():
        with scoped_guard(spinlock_irqsave, lock):
            assert irqs_disabled()
            return -5
        return 0

    assert early() == -5
    assert (spin_is_locked(lock), irqs_disabled(), preempt_count()) == (0, 0, 0)
    with pytest.raises(KeyError), guard(cleanup.spinlock)(lock):
        raise KeyError
    assert not spin_is_locked(lock)


@pytest.mark.parametrize("name", ["spinlock", "spinlock_irq", "spinlock_bh", "spinlock_irqsave", "spinlock_try",
                                  "spinlock_irq_try"])  # fmt: skip
def test_every_guard_of_a_spin_lock(k, name):
    lock = DEFINE_SPINLOCK("lock")
    with guard(getattr(cleanup, name))(lock) as taken:
        assert taken
        assert spin_is_locked(lock)
        assert bool(irqs_disabled()) == ("irq" in name)
    assert (spin_is_locked(lock), irqs_disabled(), preempt_count()) == (0, 0, 0)


@pytest.mark.parametrize("name", ["raw_spinlock", "raw_spinlock_irq", "raw_spinlock_irqsave", "raw_spinlock_nested",
                                  "raw_spinlock_try"])  # fmt: skip
def test_every_guard_of_a_raw_spin_lock(k, name):
    lock = DEFINE_RAW_SPINLOCK("lock")
    with guard(getattr(cleanup, name))(lock):
        assert spin_is_locked(lock)
    assert (spin_is_locked(lock), preempt_count()) == (0, 0)


@pytest.mark.parametrize("name", ["rwsem_read", "rwsem_read_try", "rwsem_read_intr", "rwsem_write", "rwsem_write_try",
                                  "rwsem_write_kill"])  # fmt: skip
def test_every_guard_of_a_rwsem(k, name):
    sem = DECLARE_RWSEM("sem")
    with guard(getattr(cleanup, name))(sem) as taken:
        assert taken
        assert rwsem_is_locked(sem)
    assert not rwsem_is_locked(sem)


def test_the_guards_that_c_names_like_the_function(k):
    lock = DEFINE_RWLOCK("lock")
    for name in (read_lock, cleanup.read_lock_irq, cleanup.read_lock_irqsave, cleanup.write_lock):
        with guard(name)(lock):
            assert preempt_count() == 1
    with guard(write_lock_irqsave)(lock):
        assert irqs_disabled()
    with guard(cleanup.write_lock_irq)(lock):
        assert irqs_disabled()
    assert (preempt_count(), irqs_disabled()) == (0, 0)


def test_contexts(k):
    with guard(cleanup.rcu)():
        assert rcu_preempt_depth() == 1
    with guard(cleanup.preempt)():
        assert preempt_count() == 1
    with guard(cleanup.bh)():
        assert preempt_count() == 0x200
    with guard(cleanup.irq)():
        assert irqs_disabled()
    with guard(cleanup.irqsave)(), guard(cleanup.irqsave)():
        assert irqs_disabled()
    with guard(cleanup.migrate)():
        assert k.current.migrate_disabled == 1
    assert (rcu_preempt_depth(), preempt_count(), irqs_disabled(), k.current.migrate_disabled) == (0, 0, 0, 0)


def test_a_conditional_guard_says_whether_it_was_taken(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    with k.on_cpu(1), guard(mutex_try)(lock) as taken:
        assert not taken
    assert mutex_is_locked(lock)
    mutex_unlock(lock)
    with guard(mutex_intr)(lock) as taken:
        assert taken
    assert not mutex_is_locked(lock)


def test_guards_of_a_drivers_own(k):
    log = []
    plain = DEFINE_GUARD("dev", lambda dev: log.append(("get", dev)), lambda dev: log.append(("put", dev)))
    with guard(plain)("dev"):
        assert log == [("get", "dev")]
    assert log.pop() == ("put", "dev")
    with guard(DEFINE_GUARD_COND(plain, "_try", lambda dev: 0))("dev") as taken:
        assert not taken
    assert len(log) == 1
    with guard(DEFINE_LOCK_GUARD_0("all", lambda: log.append("on"), lambda: log.append("off")))():
        pass
    with guard(DEFINE_LOCK_GUARD_1("kept", lambda dev: 7, lambda dev, kept: log.append(kept)))("dev"):
        pass
    assert log[1:] == ["on", "off", 7]


def test_what_is_no_guard(k):
    with pytest.raises(TypeError, match="DEFINE_GUARD"):
        guard("mutex")


def test_a_guard_without_a_block_would_hold_nothing(k):
    with pytest.raises(TypeError, match="with guard"):
        guard(mutex)(DEFINE_MUTEX("lock"))


def test_guards_came_late():
    with kmock.boot(version="6.1") as k, k.expect("api-version"), guard(mutex)(DEFINE_MUTEX("lock")):
        pass


def test_a_guard_that_is_left_open_is_a_held_lock():
    with kmock.boot() as k, k.expect("lock-held-at-exit") as found:
        guard(mutex)(DEFINE_MUTEX("lock")).__enter__()
        k.shutdown()
    assert found[0].where.function == "test_a_guard_that_is_left_open_is_a_held_lock"
