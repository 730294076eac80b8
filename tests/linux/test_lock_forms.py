"""Every form of every lock: what it turns off while it is held, and that its release puts everything back."""

from __future__ import annotations

from errno import EINTR
from signal import SIGKILL

import pytest

from kmock.linux import rwlock, rwsem, semaphore, spinlock
from kmock.linux.interrupt import in_interrupt
from kmock.linux.irqflags import irqs_disabled, irqs_disabled_flags, local_irq_restore, local_irq_save, local_save_flags
from kmock.linux.kthread import kthread_run
from kmock.linux.lockdep import lockdep_assert_held_read, lockdep_assert_held_write, lockdep_is_held
from kmock.linux.mutex import DEFINE_MUTEX, mutex_is_locked, mutex_lock_killable, mutex_lock_nested, mutex_unlock
from kmock.linux.percpu_rwsem import (
    DEFINE_STATIC_PERCPU_RWSEM,
    percpu_down_read,
    percpu_down_read_trylock,
    percpu_down_write,
    percpu_free_rwsem,
    percpu_init_rwsem,
    percpu_rw_semaphore,
    percpu_up_read,
    percpu_up_write,
)
from kmock.linux.preempt import (
    hardirq_count,
    in_irq,
    nmi_count,
    preempt_count,
    preempt_disable,
    preempt_enable_no_resched,
    softirq_count,
)
from kmock.linux.refcount import (
    REFCOUNT_INIT,
    refcount_dec_and_lock_irqsave,
    refcount_dec_and_mutex_lock,
    refcount_read,
)
from kmock.linux.sched import current
from kmock.linux.sched.signal import send_sig
from kmock.linux.semaphore import down, down_trylock, up

BH = 0x200
NOTHING = (0, 0)

# name: (makes the lock, takes it, releases it, preempt_count and irqs_disabled() while it is held)
FORMS = {
    "spin_lock spin_unlock": (spinlock.DEFINE_SPINLOCK, spinlock, (1, 0)),
    "spin_lock_bh spin_unlock_bh": (spinlock.DEFINE_SPINLOCK, spinlock, (BH + 1, 0)),
    "spin_lock_irq spin_unlock_irq": (spinlock.DEFINE_SPINLOCK, spinlock, (1, 1)),
    "spin_trylock spin_unlock": (spinlock.DEFINE_SPINLOCK, spinlock, (1, 0)),
    "spin_trylock_bh spin_unlock_bh": (spinlock.DEFINE_SPINLOCK, spinlock, (BH + 1, 0)),
    "spin_trylock_irq spin_unlock_irq": (spinlock.DEFINE_SPINLOCK, spinlock, (1, 1)),
    "raw_spin_lock raw_spin_unlock": (spinlock.DEFINE_RAW_SPINLOCK, spinlock, (1, 0)),
    "raw_spin_lock_bh raw_spin_unlock_bh": (spinlock.DEFINE_RAW_SPINLOCK, spinlock, (BH + 1, 0)),
    "raw_spin_lock_irq raw_spin_unlock_irq": (spinlock.DEFINE_RAW_SPINLOCK, spinlock, (1, 1)),
    "raw_spin_trylock raw_spin_unlock": (spinlock.DEFINE_RAW_SPINLOCK, spinlock, (1, 0)),
    "read_lock read_unlock": (rwlock.DEFINE_RWLOCK, rwlock, (1, 0)),
    "read_lock_bh read_unlock_bh": (rwlock.DEFINE_RWLOCK, rwlock, (BH + 1, 0)),
    "read_lock_irq read_unlock_irq": (rwlock.DEFINE_RWLOCK, rwlock, (1, 1)),
    "read_trylock read_unlock": (rwlock.DEFINE_RWLOCK, rwlock, (1, 0)),
    "write_lock write_unlock": (rwlock.DEFINE_RWLOCK, rwlock, (1, 0)),
    "write_lock_bh write_unlock_bh": (rwlock.DEFINE_RWLOCK, rwlock, (BH + 1, 0)),
    "write_lock_irq write_unlock_irq": (rwlock.DEFINE_RWLOCK, rwlock, (1, 1)),
    "write_trylock write_unlock": (rwlock.DEFINE_RWLOCK, rwlock, (1, 0)),
}
WITH_FLAGS = {
    "spin_lock_irqsave spin_unlock_irqrestore": (spinlock.DEFINE_SPINLOCK, spinlock),
    "raw_spin_lock_irqsave raw_spin_unlock_irqrestore": (spinlock.DEFINE_RAW_SPINLOCK, spinlock),
    "read_lock_irqsave read_unlock_irqrestore": (rwlock.DEFINE_RWLOCK, rwlock),
    "write_lock_irqsave write_unlock_irqrestore": (rwlock.DEFINE_RWLOCK, rwlock),
}


def counts():
    return preempt_count(), irqs_disabled()


@pytest.mark.parametrize(("names", "form"), FORMS.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_spinning_lock(kernel, names, form):
    define, header, held = form
    take, release = (getattr(header, name) for name in names.split())
    lock = define("lock")
    assert take(lock) in {None, 1}
    assert counts() == held
    assert lockdep_is_held(lock)
    release(lock)
    assert counts() == NOTHING
    assert not lockdep_is_held(lock)


@pytest.mark.parametrize(
    ("names", "form"), WITH_FLAGS.items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_spinning_lock_that_keeps_the_flags(kernel, names, form):
    define, header = form
    take, release = (getattr(header, name) for name in names.split())
    lock = define("lock")
    for off_before in (False, True):
        outer = local_irq_save() if off_before else None
        flags = take(lock)
        assert counts() == (1, 1)
        release(lock, flags)
        assert counts() == (0, int(off_before))
        if outer is not None:
            local_irq_restore(outer)


def test_nesting_two_locks_of_one_class(kernel):
    locks = [spinlock.DEFINE_SPINLOCK("same") for _ in range(2)]
    spinlock.spin_lock(locks[0])
    flags = spinlock.spin_lock_irqsave_nested(locks[1], 1)
    assert counts() == (2, 1)
    spinlock.assert_spin_locked(locks[1])
    assert not spinlock.spin_can_lock(locks[1])
    spinlock.spin_unlock_irqrestore(locks[1], flags)
    assert spinlock.spin_can_lock(locks[1])
    spinlock.spin_unlock(locks[0])


def test_flags_say_what_was(kernel):
    flags = local_save_flags()
    assert (irqs_disabled(), irqs_disabled_flags(flags)) == (0, 0)
    outer = local_irq_save()
    assert irqs_disabled_flags(local_save_flags())
    local_irq_restore(outer)


def test_each_context_counts_in_its_own_bits(kernel):
    seen = {}
    for name in ("hardirq", "softirq", "nmi"):
        with getattr(kernel, name)():
            seen[name] = (bool(hardirq_count()), bool(softirq_count()), bool(nmi_count()), bool(in_irq()))
            assert in_interrupt()
    assert seen == {
        "hardirq": (True, False, False, True),
        "softirq": (False, True, False, False),
        "nmi": (True, False, True, True),
    }
    preempt_disable()
    preempt_enable_no_resched()
    assert counts() == NOTHING


SLEEPING = {
    "down_read up_read": True,
    "down_read_interruptible up_read": True,
    "down_read_killable up_read": True,
    "down_write up_write": False,
    "down_write_killable up_write": False,
}


@pytest.mark.parametrize(("names", "read"), SLEEPING.items())
def test_a_read_write_semaphore(kernel, names, read):
    take, release = (getattr(rwsem, name) for name in names.split())
    sem = rwsem.DECLARE_RWSEM("sem")
    assert take(sem) in {None, 0}
    assert rwsem.rwsem_is_locked(sem)
    (lockdep_assert_held_read if read else lockdep_assert_held_write)(sem)
    assert rwsem.down_write_trylock(sem) == 0
    release(sem)
    assert not rwsem.rwsem_is_locked(sem)


@pytest.mark.parametrize("names", ["down_read_nested up_read", "down_write_nested up_write"])
def test_a_read_write_semaphore_inside_another_of_its_class(kernel, names):
    take, release = (getattr(rwsem, name) for name in names.split())
    outer, inner = (rwsem.DECLARE_RWSEM("sem") for _ in range(2))
    rwsem.down_write(outer)
    take(inner, 1)
    assert rwsem.rwsem_is_locked(inner)
    release(inner)
    rwsem.up_write(outer)


def test_a_deadly_signal_ends_each_killable_wait(kernel):
    sem, mutex, rw = semaphore.DEFINE_SEMAPHORE("sem"), DEFINE_MUTEX("mutex"), rwsem.DECLARE_RWSEM("rw")
    down(sem)
    mutex_lock_nested(mutex, 1)
    rwsem.down_write(rw)
    results = []
    waits = [
        lambda: semaphore.down_killable(sem),
        lambda: mutex_lock_killable(mutex),
        lambda: rwsem.down_read_killable(rw),
        lambda: rwsem.down_write_killable(rw),
        lambda: rwsem.down_read_interruptible(rw),
    ]
    tasks = [kthread_run(lambda wait: results.append(wait()), wait, f"waiter/{n}") for n, wait in enumerate(waits)]
    kernel.run()
    assert results == []
    for task in tasks:
        send_sig(SIGKILL, task, 1)
    kernel.run()
    assert results == [-EINTR] * len(waits)
    up(sem)
    mutex_unlock(mutex)
    rwsem.up_write(rw)


def test_a_semaphore_starts_at_its_count(kernel):
    sem = semaphore.semaphore()
    semaphore.sema_init(sem, 2)
    assert [down_trylock(sem) for _ in range(3)] == [0, 0, 1]
    semaphore.init_MUTEX(sem)
    assert [down_trylock(sem) for _ in range(2)] == [0, 1]
    semaphore.init_MUTEX_LOCKED(sem)
    assert down_trylock(sem) == 1
    up(sem)
    assert down_trylock(sem) == 0
    up(sem)


def test_the_last_reference_takes_the_lock(kernel):
    lock, mutex = spinlock.DEFINE_SPINLOCK("lock"), DEFINE_MUTEX("mutex")
    held = REFCOUNT_INIT(2)
    assert refcount_dec_and_lock_irqsave(held, lock)[0] == 0
    assert counts() == NOTHING
    last, flags = refcount_dec_and_lock_irqsave(held, lock)
    assert (bool(last), refcount_read(held), *counts()) == (True, 0, 1, 1)
    spinlock.spin_unlock_irqrestore(lock, flags)
    held = REFCOUNT_INIT(2)
    assert [bool(refcount_dec_and_mutex_lock(held, mutex)) for _ in range(2)] == [False, True]
    assert mutex_is_locked(mutex)
    mutex_unlock(mutex)


def test_current_is_who_runs(kernel):
    assert current.pid == kernel.current.pid


def test_a_percpu_read_write_semaphore(kernel):
    sem, log = percpu_rw_semaphore(), []
    assert percpu_init_rwsem(sem) == 0

    def reader(_):
        percpu_down_read(sem)
        log.append("read")
        percpu_up_read(sem)

    percpu_down_write(sem)
    assert not percpu_down_read_trylock(sem)
    kthread_run(reader, None, "reader")
    kernel.run()
    assert log == []
    percpu_up_write(sem)
    kernel.run()
    assert log == ["read"]
    assert percpu_down_read_trylock(sem)
    percpu_up_read(sem)
    percpu_free_rwsem(sem)
    static = DEFINE_STATIC_PERCPU_RWSEM("static")
    percpu_down_read(static)
    percpu_up_read(static)
