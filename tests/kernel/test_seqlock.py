"""Sequence counters and locks: readers see that a writer was there."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux import seqlock
from kmock.linux.irqflags import irqs_disabled
from kmock.linux.kthread import kthread_run
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.preempt import preempt_count, preempt_disable, preempt_enable
from kmock.linux.sched import yield_
from kmock.linux.seqlock import (
    DEFINE_SEQLOCK,
    SEQCNT_ZERO,
    raw_read_seqcount,
    raw_seqcount_begin,
    raw_write_seqcount_begin,
    raw_write_seqcount_end,
    read_seqbegin,
    read_seqcount_begin,
    read_seqcount_retry,
    read_seqretry,
    seqcount_init,
    seqcount_mutex_init,
    seqcount_raw_spinlock_init,
    seqcount_rwlock_init,
    seqcount_spinlock_init,
    seqcount_t,
    seqlock_init,
    seqlock_t,
    write_seqcount_begin,
    write_seqcount_end,
    write_seqcount_invalidate,
    write_seqlock,
    write_seqlock_irqsave,
    write_sequnlock,
    write_sequnlock_irqrestore,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import (
    DEFINE_RAW_SPINLOCK,
    DEFINE_RWLOCK,
    DEFINE_SPINLOCK,
    raw_spin_lock,
    raw_spin_unlock,
    spin_lock,
    spin_unlock,
    write_lock,
    write_unlock,
)
from kmock.linux.types import Struct, addressof, sizeof, u64


def test_a_reader_sees_that_a_writer_was_there(kernel):
    lock = DEFINE_SEQLOCK("lock")
    begun = read_seqbegin(lock)
    assert not read_seqretry(lock, begun)
    write_seqlock(lock)
    write_sequnlock(lock)
    assert read_seqretry(lock, begun)
    assert not read_seqretry(lock, read_seqbegin(lock))


FORMS = [
    ("write_seqlock write_sequnlock", (1, 0)),
    ("write_seqlock_irq write_sequnlock_irq", (1, 1)),
    ("write_seqlock_bh write_sequnlock_bh", (0x201, 0)),
    ("read_seqlock_excl read_sequnlock_excl", (1, 0)),
    ("read_seqlock_excl_irq read_sequnlock_excl_irq", (1, 1)),
    ("read_seqlock_excl_bh read_sequnlock_excl_bh", (0x201, 0)),
]


@pytest.mark.parametrize(("names", "held"), FORMS)
def test_what_each_form_turns_off(kernel, names, held):
    take, release = (getattr(seqlock, name) for name in names.split())
    lock = DEFINE_SEQLOCK("lock")
    begun = read_seqbegin(lock)
    take(lock)
    assert (preempt_count(), irqs_disabled()) == held
    release(lock)
    assert (preempt_count(), irqs_disabled()) == (0, 0)
    assert bool(read_seqretry(lock, begun)) == names.startswith("write")


def test_a_writer_that_keeps_the_flags(kernel):
    lock = seqlock_t()
    seqlock_init(lock)
    flags = write_seqlock_irqsave(lock)
    assert irqs_disabled()
    write_sequnlock_irqrestore(lock, flags)
    assert not irqs_disabled()


def test_a_reader_spins_until_the_writer_is_through(kernel):
    s, seen, shared = SEQCNT_ZERO("s"), [], [0, 0]

    def reader(_):
        begun = read_seqcount_begin(s)
        seen.append((*shared, read_seqcount_retry(s, begun)))

    def writer(_):
        raw_write_seqcount_begin(s)
        shared[0] = 1
        kthread_run(reader, None, "reader")
        yield_()
        shared[1] = 1
        raw_write_seqcount_end(s)

    kthread_run(writer, None, "writer")
    kernel.run()
    assert seen == [(1, 1, 0)]


def test_an_interrupt_that_reads_what_it_interrupted_the_writing_of_never_ends(kernel):
    lock = DEFINE_SEQLOCK("lock")
    write_seqlock(lock)
    with kernel.expect("*") as found, pytest.raises(kmock.Deadlock), kernel.hardirq():
        read_seqbegin(lock)
    assert found[0].kind in {"deadlock", "hang"}
    write_sequnlock(lock)


def hold_nothing(_):
    preempt_disable()


def release_nothing(_):
    preempt_enable()


COUNTERS = [
    (lambda s, lock: seqcount_init(s), lambda name: None, hold_nothing, release_nothing),
    (seqcount_spinlock_init, DEFINE_SPINLOCK, spin_lock, spin_unlock),
    (seqcount_raw_spinlock_init, DEFINE_RAW_SPINLOCK, raw_spin_lock, raw_spin_unlock),
    (seqcount_rwlock_init, DEFINE_RWLOCK, write_lock, write_unlock),
    (seqcount_mutex_init, DEFINE_MUTEX, mutex_lock, mutex_unlock),
]


@pytest.mark.parametrize(("init", "define", "take", "release"), COUNTERS, ids=["plain", "spin", "raw", "rw", "mutex"])
def test_a_writer_holds_the_counters_lock(kernel, init, define, take, release):
    s, lock = seqcount_t(), define("lock")
    init(s, lock)
    take(lock)
    write_seqcount_begin(s)
    assert preempt_count() == 1  # of the lock, or for the readers' sake
    write_seqcount_end(s)
    release(lock)
    assert raw_read_seqcount(s) == 2
    with kernel.expect("seqlock-write-unlocked"):
        write_seqcount_begin(s)
        write_seqcount_end(s)
    assert preempt_count() == 0


def test_two_writers_at_a_time_are_reported_whatever_keeps_them_on_their_processors(kernel):
    s = SEQCNT_ZERO("s")
    preempt_disable()
    write_seqcount_begin(s)
    with kernel.expect("seqlock-write-unlocked"), kernel.on_cpu(1):
        preempt_disable()
        write_seqcount_begin(s)
        write_seqcount_end(s)
        preempt_enable()
    write_seqcount_end(s)
    preempt_enable()


def test_reading_without_waiting(kernel):
    s = SEQCNT_ZERO("s")
    begun = read_seqcount_begin(s)
    raw_write_seqcount_begin(s)
    assert raw_read_seqcount(s) % 2 == 1
    assert read_seqcount_retry(s, raw_seqcount_begin(s))
    raw_write_seqcount_end(s)
    assert read_seqcount_retry(s, begun)
    begun = read_seqcount_begin(s)
    write_seqcount_invalidate(s)
    assert read_seqcount_retry(s, begun)


def test_a_lock_in_a_struct(kernel):
    class clock(Struct):
        lock: seqlock_t
        time: u64

    c = clock.at(kzalloc(sizeof(clock), GFP_KERNEL))
    seqlock_init(c.lock)
    write_seqlock(c.lock)
    c.time = 5
    write_sequnlock(c.lock)
    assert read_seqbegin(c.lock) == 2
    kfree(addressof(c))
