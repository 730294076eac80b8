"""Locks: what they turn off, who may release them, and that no kernel sees another's."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.delay import msleep
from kmock.linux.irqflags import irqs_disabled, local_irq_restore, local_irq_save
from kmock.linux.kthread import kthread_run
from kmock.linux.lockdep import lockdep_off, lockdep_on
from kmock.linux.mutex import (
    DEFINE_MUTEX,
    mutex_is_locked,
    mutex_lock,
    mutex_lock_interruptible,
    mutex_trylock,
    mutex_unlock,
)
from kmock.linux.preempt import preempt_count
from kmock.linux.rwlock import (
    DEFINE_RWLOCK,
    read_lock,
    read_trylock,
    read_unlock,
    write_lock,
    write_trylock,
    write_unlock,
)
from kmock.linux.rwsem import (
    DECLARE_RWSEM,
    down_read,
    down_read_trylock,
    down_write,
    down_write_trylock,
    downgrade_write,
    up_read,
    up_write,
)
from kmock.linux.sched.signal import SIGKILL, send_sig
from kmock.linux.semaphore import DEFINE_SEMAPHORE, down, down_interruptible, down_timeout, down_trylock, up
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import (
    DEFINE_SPINLOCK,
    spin_is_locked,
    spin_lock,
    spin_lock_bh,
    spin_lock_init,
    spin_lock_irq,
    spin_lock_irqsave,
    spin_trylock,
    spin_trylock_irqsave,
    spin_unlock,
    spin_unlock_bh,
    spin_unlock_irq,
    spin_unlock_irqrestore,
    spinlock_t,
)
from kmock.linux.types import Struct, sizeof, u32

LOCK = DEFINE_SPINLOCK("made_at_import")
MUTEX = DEFINE_MUTEX("mutex_made_at_import")


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def test_a_lock_made_at_import_belongs_to_each_kernel_apart():
    with kmock.boot() as one:
        mutex_lock(MUTEX)
        with kmock.boot() as two:
            assert not mutex_is_locked(MUTEX)
            mutex_lock(MUTEX)
            mutex_unlock(MUTEX)
            two.shutdown()
        assert mutex_is_locked(MUTEX)
        mutex_unlock(MUTEX)
    with kmock.boot() as three:
        spin_lock(LOCK)
        spin_unlock(LOCK)
    assert [one.reports, two.reports, three.reports] == [[], [], []]


def test_a_kernel_that_is_gone_is_not_kept_by_its_locks():
    import gc
    import weakref

    with kmock.boot() as k:
        spin_lock(LOCK)
        spin_unlock(LOCK)
    gone = weakref.ref(k)
    del k
    gc.collect()
    assert gone() is None


def test_what_each_variant_turns_off(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    assert (preempt_count(), irqs_disabled(), spin_is_locked(lock)) == (1, 0, 1)
    spin_unlock(lock)
    spin_lock_bh(lock)
    assert preempt_count() == 0x201
    spin_unlock_bh(lock)
    spin_lock_irq(lock)
    assert irqs_disabled()
    spin_unlock_irq(lock)
    flags = spin_lock_irqsave(lock)
    assert irqs_disabled()
    spin_unlock_irqrestore(lock, flags)
    ok, flags = spin_trylock_irqsave(lock)
    assert (ok, irqs_disabled()) == (1, 1)
    spin_unlock_irqrestore(lock, flags)
    assert (preempt_count(), irqs_disabled(), spin_is_locked(lock)) == (0, 0, 0)


def test_nested_irqsave_restores_in_order(k):
    a, b = DEFINE_SPINLOCK("a"), DEFINE_SPINLOCK("b")
    outer = spin_lock_irqsave(a)
    inner = spin_lock_irqsave(b)
    spin_unlock_irqrestore(b, inner)
    assert irqs_disabled()
    spin_unlock_irqrestore(a, outer)
    assert not irqs_disabled()


def test_turning_interrupts_off_by_hand_is_right(k):
    lock = DEFINE_SPINLOCK("lock")
    flags = local_irq_save()
    spin_lock(lock)
    spin_unlock(lock)
    spin_lock(lock)
    spin_unlock_irqrestore(lock, flags)
    flags = local_irq_save()
    local_irq_restore(flags)


def test_trylock_on_another_cpu_fails(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    with k.on_cpu(1):
        assert preempt_count() == 0
        assert spin_trylock(lock) == 0
    spin_unlock(lock)
    with k.on_cpu(1):
        assert spin_trylock(lock) == 1
    with k.on_cpu(1):
        assert preempt_count() == 1
        spin_unlock(lock)


def test_spinning_for_what_another_cpu_holds_is_a_deadlock(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    with k.expect("hang"), pytest.raises(kmock.Deadlock), k.on_cpu(1):
        spin_lock(lock)
    spin_unlock(lock)


def test_an_interrupt_that_takes_the_lock_it_interrupted_stops_there(k):
    lock = DEFINE_SPINLOCK("lock")
    spin_lock(lock)
    with k.expect("lock-irq-unsafe"), pytest.raises(kmock.Deadlock), k.hardirq():
        spin_lock(lock)
    spin_unlock(lock)
    assert preempt_count() == 0


def test_readers_share_and_writers_do_not(k):
    lock = DEFINE_RWLOCK("lock")
    read_lock(lock)
    with k.on_cpu(1):
        assert read_trylock(lock) == 1
        read_unlock(lock)
        assert write_trylock(lock) == 0
    read_unlock(lock)
    write_lock(lock)
    with k.on_cpu(1):
        assert read_trylock(lock) == 0
    write_unlock(lock)


def test_the_spinlock_debug_code_speaks_where_lockdep_does_not(k):
    lockdep_off()
    with k.expect("lock-uninitialised") as found:
        lock = spinlock_t()
        spin_lock(lock)
        spin_unlock(lock)
    assert found[0].headline.startswith("BUG: spinlock bad magic on CPU#0, test/")
    with k.expect("lock-recursive") as found, pytest.raises(kmock.Deadlock):
        spin_lock(LOCK)
        spin_lock(LOCK)
    assert found[0].headline.startswith("BUG: spinlock recursion on CPU#0, test/")
    spin_unlock(LOCK)
    lockdep_on()


class Dev(Struct):
    count: u32
    lock: spinlock_t


def test_a_lock_in_a_struct_is_initialised_there(k):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    with k.expect("lock-uninitialised") as found:
        spin_lock(dev.lock)
    spin_unlock(dev.lock)
    assert found[0].headline == "INFO: trying to register non-static key."
    spin_lock_init(dev.lock)
    spin_lock(dev.lock)
    spin_unlock(dev.lock)
    kfree(dev)


def test_the_lock_is_named_as_in_c(k):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    spin_lock_init(dev.lock)
    spin_lock(dev.lock)
    with k.expect("lock-held-at-*", count=0):
        assert k.lockdep.held_lines(k.current)[1].split("}")[0].endswith("(&dev->lock){+.+.")
    spin_unlock(dev.lock)
    kfree(dev)


# -- sleeping locks ---------------------------------------------------------------------------------------------


def test_a_signal_ends_an_interruptible_wait(k):
    lock = DEFINE_MUTEX("lock")
    got = []
    mutex_lock(lock)
    task = kthread_run(lambda data: got.append(mutex_lock_interruptible(lock)), None, "t")
    msleep(1)
    send_sig(SIGKILL, task, 0)
    k.run()
    assert got == [-4]
    mutex_unlock(lock)


def test_mutex_trylock(k):
    lock = DEFINE_MUTEX("lock")
    assert mutex_trylock(lock) == 1
    assert mutex_trylock(lock) == 0
    mutex_unlock(lock)


def test_mutex_recursion_is_a_deadlock(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    with k.expect("lock-recursive") as found, pytest.raises(kmock.Deadlock) as caught:
        mutex_lock(lock)
    assert caught.value.report is found[0]
    mutex_unlock(lock)


def test_a_mutex_unlocked_by_another_task_is_free(k):
    lock = DEFINE_MUTEX("lock")
    mutex_lock(lock)
    with k.expect("lock-unlock-wrong-task", count=1):
        kthread_run(lambda data: mutex_unlock(lock), None, "other")
        k.run()
    assert not mutex_is_locked(lock)


def test_a_writer_that_waits_keeps_new_readers_out(k):
    sem = DECLARE_RWSEM("sem")
    log = []
    down_read(sem)
    kthread_run(lambda data: (down_write(sem), log.append("w"), msleep(4), up_write(sem)), None, "writer")
    msleep(1)
    kthread_run(lambda data: (down_read(sem), log.append("r"), up_read(sem)), None, "reader")
    msleep(1)
    assert log == []
    up_read(sem)
    k.run()
    assert log == ["w", "r"]


def test_downgrade_lets_readers_in(k):
    sem = DECLARE_RWSEM("sem")
    log = []
    down_write(sem)
    kthread_run(lambda data: (down_read(sem), log.append("r"), up_read(sem)), None, "reader")
    msleep(1)
    assert down_read_trylock(sem) == 0
    downgrade_write(sem)
    k.run()
    assert log == ["r"]
    assert down_write_trylock(sem) == 0
    up_read(sem)


def test_a_semaphore_counts(k):
    sem = DEFINE_SEMAPHORE("sem", 2)
    down(sem)
    assert down_interruptible(sem) == 0
    assert down_trylock(sem) == 1
    assert down_timeout(sem, 5) == -62
    kthread_run(lambda data: up(sem), None, "t")
    down(sem)
    up(sem)
    up(sem)
    assert down_trylock(sem) == 0
    up(sem)
