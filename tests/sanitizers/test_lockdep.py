"""Lock checking: orders and contexts that could deadlock, found although nothing deadlocks."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

import kmock
from kmock.errors import Deadlock, Misuse
from kmock.linux.hrtimer import (
    CLOCK_MONOTONIC,
    HRTIMER_MODE_REL,
    HRTIMER_NORESTART,
    hrtimer,
    hrtimer_cancel,
    hrtimer_init,
    hrtimer_start,
    ms_to_ktime,
)
from kmock.linux.interrupt import (
    DECLARE_TASKLET,
    IRQ_HANDLED,
    disable_irq,
    disable_irq_nosync,
    enable_irq,
    free_irq,
    request_irq,
    synchronize_irq,
    tasklet_kill,
    tasklet_schedule,
)
from kmock.linux.irqflags import local_irq_disable, local_irq_enable
from kmock.linux.jiffies import jiffies
from kmock.linux.kthread import kthread_run
from kmock.linux.mutex import (
    DEFINE_MUTEX,
    mutex,
    mutex_init,
    mutex_lock,
    mutex_lock_interruptible_nested,
    mutex_lock_killable_nested,
    mutex_lock_nest_lock,
    mutex_lock_nested,
    mutex_trylock,
    mutex_unlock,
)
from kmock.linux.rwlock import DEFINE_RWLOCK, read_lock, read_unlock, write_lock, write_unlock
from kmock.linux.rwsem import (
    DECLARE_RWSEM,
    down_read,
    down_read_killable_nested,
    down_write,
    down_write_killable_nested,
    down_write_nest_lock,
    downgrade_write,
    init_rwsem,
    rw_semaphore,
    up_read,
    up_write,
)
from kmock.linux.seqlock import (
    DEFINE_SEQLOCK,
    read_seqbegin,
    read_seqretry,
    write_seqlock,
    write_seqlock_irqsave,
    write_sequnlock,
    write_sequnlock_irqrestore,
)
from kmock.linux.shrinker import register_shrinker, shrinker, unregister_shrinker
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.spinlock import (
    DEFINE_SPINLOCK,
    raw_spin_lock,
    raw_spin_lock_init,
    raw_spin_lock_nested,
    raw_spin_unlock,
    raw_spinlock_t,
    spin_lock,
    spin_lock_bh,
    spin_lock_bh_nested,
    spin_lock_init,
    spin_lock_irqsave,
    spin_lock_nest_lock,
    spin_lock_nested,
    spin_trylock,
    spin_unlock,
    spin_unlock_bh,
    spin_unlock_irqrestore,
    spinlock_t,
)
from kmock.linux.timer import DEFINE_TIMER, del_timer_sync, mod_timer
from kmock.linux.workqueue import (
    DECLARE_DELAYED_WORK,
    DECLARE_WORK,
    alloc_workqueue,
    cancel_delayed_work_sync,
    destroy_workqueue,
    flush_work,
    flush_workqueue,
    queue_work,
    schedule_delayed_work,
    schedule_work,
)

ORDER = "lock-order-inversion"
INVERSION = "lock-irq-inversion"


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


@contextmanager
def held(lock, take=mutex_lock, release=mutex_unlock):
    take(lock)
    yield
    release(lock)


def spinning(lock):
    return held(lock, spin_lock, spin_unlock)


@contextmanager
def irqs_off(lock):
    flags = spin_lock_irqsave(lock)
    yield
    spin_unlock_irqrestore(lock, flags)


def nest(*locks, way=held):
    """Take locks inside each other, and release them."""
    if locks:
        with way(locks[0]):
            nest(*locks[1:], way=way)


def mutexes(*names):
    return [DEFINE_MUTEX(name) for name in names]


def of_one_class(n, cls=mutex, init=mutex_init):
    locks = [cls() for _ in range(n)]
    for lock in locks:
        init(lock)
    return locks


class TestOrder:
    def test_two_locks(self, k):
        a, b = mutexes("a", "b")
        nest(a, b)
        with k.expect(ORDER, count=1) as found:
            nest(b, a)
        assert found[0].where.function == "held"
        assert {"taken", "b taken inside a", "a taken"} <= found[0].stacks.keys()
        lines = "\n".join(found[0].lines)
        assert "-> #1 (b){+.+.}-{3:3}:" in lines
        assert "-> #0 (a){+.+.}-{3:3}:" in lines
        assert "Chain exists" not in lines

    @pytest.mark.parametrize("n", [3, 4, 9])
    def test_a_longer_circle(self, k, n):
        locks = mutexes(*(f"l{i}" for i in range(n)))
        for i in range(n - 1):
            nest(locks[i], locks[i + 1])
        with k.expect(ORDER, count=1) as found:
            nest(locks[-1], locks[0])
        assert f"  l0 --> l{n - 2} --> l{n - 1}" in found[0].lines
        assert f"-> #{n - 1} (l{n - 1}){{+.+.}}-{{3:3}}:" in found[0].lines

    def test_locks_that_are_held_further_out_count(self, k):
        a, b, c = mutexes("a", "b", "c")
        nest(a, b, c)
        with k.expect(ORDER):
            nest(c, a)

    def test_orders_of_different_tasks_and_times(self, k):
        a, b = mutexes("a", "b")
        kthread_run(lambda data: nest(a, b), None, "one")
        k.run()
        k.advance(100)
        with k.expect(ORDER), k.on_cpu(1):
            nest(b, a)

    def test_two_objects_of_one_class_each(self, k):
        a, b = of_one_class(2)
        c, d = mutex(), mutex()
        for lock in (c, d):
            mutex_init(lock)
        nest(a, c)
        with k.expect(ORDER):
            nest(d, b)

    def test_a_lock_that_is_tried_for_waits_for_nobody(self, k):
        a, b = mutexes("a", "b")
        nest(a, b)
        with held(b):
            assert mutex_trylock(a)
            mutex_unlock(a)

    def test_but_others_wait_for_it(self, k):
        a, b = mutexes("a", "b")
        nest(b, a)
        assert mutex_trylock(a)
        with k.expect(ORDER), held(b):
            pass
        mutex_unlock(a)

    def test_behind_a_lock_that_was_tried_for_comes_the_next(self, k):
        a, b, c = mutexes("a", "b", "c")
        with held(a):
            assert mutex_trylock(b)
            nest(c)
            mutex_unlock(b)
        with k.expect(ORDER):
            nest(c, a)

    def test_no_order_between_an_interrupt_and_what_it_interrupted(self, k):
        a, b = DEFINE_SPINLOCK("a"), DEFINE_SPINLOCK("b")
        with irqs_off(a), k.hardirq():
            nest(b, way=spinning)
        with irqs_off(b), k.hardirq():
            nest(a, way=spinning)

    def test_a_lock_that_is_not_held_any_more_is_in_no_order(self, k):
        a, b, c = mutexes("a", "b", "c")
        mutex_lock(a)
        assert mutex_trylock(b)
        mutex_unlock(a)
        mutex_lock(c)
        mutex_unlock(b)
        mutex_unlock(c)
        nest(c, a)
        with k.expect(ORDER):
            nest(c, b)

    def test_what_is_left_is_in_order(self, k):
        a, b, c = mutexes("a", "b", "c")
        mutex_lock(a)
        mutex_lock(b)
        assert mutex_trylock(c)
        mutex_unlock(b)
        mutex_unlock(c)
        mutex_unlock(a)
        nest(c, b)
        nest(c, a)

    def test_one_place_is_told_of_once(self, k):
        a, b = mutexes("a", "b")
        nest(a, b)
        with k.expect(ORDER, count=1) as found:
            for _ in range(50):
                nest(b, a)
        assert len(found[0].followed_by) < 3

    def test_real_deadlocks_are_told_of_as_such(self, k):
        a, b = mutexes("a", "b")

        def other(data):
            mutex_lock(b)
            nest(a)
            mutex_unlock(b)

        mutex_lock(a)
        kthread_run(other, None, "other")
        with k.expect("deadlock", count=1), pytest.raises(Deadlock):
            k.run()
            mutex_lock(b)
        assert [r.kind for r in k.reports] == ["deadlock"]

    def test_where_nobody_looks(self):
        a, b = mutexes("a", "b")
        with kmock.boot(lockdep=False) as k:
            nest(a, b)
            nest(b, a)
            k.shutdown()
            assert k.reports == []

    def test_kernels_know_nothing_of_each_other(self):
        a, b = mutexes("a", "b")
        for order in ((a, b), (b, a)):
            with kmock.boot() as k:
                nest(*order)
                k.shutdown()
                assert k.reports == []


class TestReaders:
    def test_readers_that_may_recurse_do_not_hold_each_other_up(self, k):
        a, b = DEFINE_RWLOCK("a"), DEFINE_RWLOCK("b")
        with k.hardirq():
            for one, two in ((a, b), (b, a)):
                read_lock(one)
                read_lock(two)
                read_unlock(two)
                read_unlock(one)

    def test_but_in_process_context_a_writer_may_wait_between_them(self, k):
        a, b = DEFINE_RWLOCK("a"), DEFINE_RWLOCK("b")
        for one, two in ((a, b), (b, a)):
            with k.expect(ORDER, count=int(one is b)):
                read_lock(one)
                read_lock(two)
            read_unlock(two)
            read_unlock(one)

    def test_a_reader_and_a_writer(self, k):
        a, b = DEFINE_RWLOCK("a"), DEFINE_SPINLOCK("b")
        with irqs_off(b):
            read_lock(a)
            read_unlock(a)
        with k.expect(ORDER):
            write_lock(a)
            with spinning(b):
                pass
            write_unlock(a)

    def test_a_writer_that_becomes_a_reader_is_one(self, k):
        sem, lock = DECLARE_RWSEM("sem"), DEFINE_MUTEX("lock")
        down_write(sem)
        downgrade_write(sem)
        nest(lock)
        up_read(sem)
        with k.expect(ORDER) as found, held(lock):
            down_read(sem)
        up_read(sem)
        assert "  rlock(sem);" in found[0].lines


class TestNesting:
    def test_subclasses(self, k):
        a, b = of_one_class(2)
        with held(a):
            mutex_lock_nested(b, 1)
            mutex_unlock(b)
            assert mutex_lock_interruptible_nested(b, 1) == 0
            mutex_unlock(b)
            assert mutex_lock_killable_nested(b, 1) == 0
            mutex_unlock(b)
        with k.expect(ORDER) as found:
            mutex_lock_nested(a, 1)
            with held(b):
                pass
            mutex_unlock(a)
        assert any("locks[0]/1" in line or "lock/1" in line for line in found[0].lines)

    def test_subclasses_of_other_locks(self, k):
        a, b = of_one_class(2, rw_semaphore, init_rwsem)
        down_write(a)
        assert down_read_killable_nested(b, 1) == 0
        up_read(b)
        assert down_write_killable_nested(b, 1) == 0
        up_write(b)
        up_write(a)
        c, d = of_one_class(2, spinlock_t, spin_lock_init)
        with held(c, spin_lock_bh, spin_unlock_bh):
            spin_lock_bh_nested(d, 1)
            spin_unlock_bh(d)
            spin_lock_nested(d, 1)
            spin_unlock(d)
        e, f = of_one_class(2, raw_spinlock_t, raw_spin_lock_init)
        raw_spin_lock(e)
        raw_spin_lock_nested(f, 1)
        raw_spin_unlock(f)
        raw_spin_unlock(e)

    def test_an_outer_lock_that_makes_the_order_not_matter(self, k):
        outer, (a, b, c) = DEFINE_MUTEX("outer"), of_one_class(3)
        with held(outer):
            for order in ((a, b, c), (c, b, a)):
                for lock in order:
                    mutex_lock_nest_lock(lock, outer)
                for lock in order:
                    mutex_unlock(lock)

    def test_the_same_for_other_locks(self, k):
        outer, (a, b) = DEFINE_MUTEX("outer"), of_one_class(2, spinlock_t, spin_lock_init)
        (c, d) = of_one_class(2, rw_semaphore, init_rwsem)
        with held(outer):
            for sem in (c, d):
                down_write_nest_lock(sem, outer)
            for lock in (a, b):
                spin_lock_nest_lock(lock, outer)
            for lock in (a, b):
                spin_unlock(lock)
            for sem in (c, d):
                up_write(sem)

    def test_the_outer_lock_is_not_held(self, k):
        outer, lock = mutexes("outer", "lock")
        with k.expect("lock-nested-unannotated") as found:
            mutex_lock_nest_lock(lock, outer)
        mutex_unlock(lock)
        assert found[0].headline == "WARNING: Nested lock was not taken"
        assert "outer" in found[0].lines


class TestInterrupts:
    def test_an_unsafe_lock_inside_a_safe_one(self, k):
        safe, unsafe = DEFINE_SPINLOCK("safe"), DEFINE_SPINLOCK("unsafe")
        with k.hardirq():
            nest(safe, way=spinning)
        nest(unsafe, way=spinning)
        with k.expect(INVERSION) as found, irqs_off(safe):
            nest(unsafe, way=spinning)
        assert found[0].headline == "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"
        assert {"safe IN-HARDIRQ-W", "unsafe HARDIRQ-ON-W"} <= found[0].stacks.keys()

    def test_by_way_of_others(self, k):
        safe, middle, unsafe = (DEFINE_SPINLOCK(name) for name in ("safe", "middle", "unsafe"))
        with k.softirq():
            nest(safe, way=spinning)
        with irqs_off(middle), spinning(unsafe):
            pass
        nest(unsafe, way=spinning)
        with k.expect(INVERSION) as found, irqs_off(safe), spinning(middle):
            pass
        assert found[0].headline == "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected"
        assert "  safe --> middle --> unsafe" in found[0].lines

    def test_the_inner_lock_becomes_unsafe_later(self, k):
        safe, inner = DEFINE_SPINLOCK("safe"), DEFINE_SPINLOCK("inner")
        with k.hardirq():
            nest(safe, way=spinning)
        with irqs_off(safe), spinning(inner):
            pass
        with k.expect(INVERSION) as found:
            nest(inner, way=spinning)
        assert found[0].headline == "WARNING: possible irq lock inversion dependency detected"
        assert "but this lock was taken by another, HARDIRQ-safe lock in the past:" in found[0].lines

    def test_the_outer_lock_becomes_safe_later(self, k):
        outer, unsafe = DEFINE_SPINLOCK("outer"), DEFINE_SPINLOCK("unsafe")
        nest(unsafe, way=spinning)
        with irqs_off(outer), spinning(unsafe):
            pass
        with k.expect(INVERSION) as found, k.hardirq():
            nest(outer, way=spinning)
        assert "but this lock took another, HARDIRQ-unsafe lock in the past:" in found[0].lines

    def test_readers_in_interrupts_and_readers_outside(self, k):
        lock = DEFINE_RWLOCK("lock")
        with k.hardirq():
            read_lock(lock)
            read_unlock(lock)
        read_lock(lock)
        read_unlock(lock)
        with k.expect("lock-irq-unsafe"):
            write_lock(lock)
        write_unlock(lock)

    def test_interrupts_turned_on_under_a_lock(self, k):
        lock = DEFINE_SPINLOCK("lock")
        with k.hardirq():
            nest(lock, way=spinning)
        local_irq_disable()
        spin_lock(lock)
        with k.expect("lock-irq-unsafe") as found:
            local_irq_enable()
        spin_unlock(lock)
        assert "inconsistent {IN-HARDIRQ-W} -> {HARDIRQ-ON-W} usage." in found[0].lines

    def test_one_place_is_told_of_once(self, k):
        lock = DEFINE_SPINLOCK("lock")
        with k.hardirq():
            nest(lock, way=spinning)
        with k.expect("lock-irq-unsafe", count=1) as found:
            for _ in range(50):
                nest(lock, way=spinning)
        assert len(found[0].followed_by) < 3

    def test_where_a_finding_raises_nothing_stays_changed(self):
        lock = DEFINE_SEQLOCK("time")
        with kmock.boot(raise_reports=True) as k:
            write_seqlock(lock)
            write_sequnlock(lock)
            with pytest.raises(Misuse), k.softirq():
                read_seqbegin(lock)
            assert not k.cpu.irqs_off

    def test_one_mistake_is_told_of_once(self, k):
        lock = DEFINE_SPINLOCK("lock")
        with k.hardirq():
            nest(lock, way=spinning)
        flags = spin_lock_irqsave(lock)
        with k.expect("irqs-enabled-inside-irqsave", count=1):
            local_irq_enable()
        spin_unlock_irqrestore(lock, flags)


class TestSequenceCounters:
    def test_a_reader_that_may_interrupt_the_writer(self, k):
        time = DEFINE_SEQLOCK("time")
        with k.hardirq():
            assert not read_seqretry(time, read_seqbegin(time))
        with k.expect("lock-irq-unsafe") as found:
            write_seqlock(time)
        write_sequnlock(time)
        assert "inconsistent {IN-HARDIRQ-R} -> {HARDIRQ-ON-W} usage." in found[0].lines

    def test_a_writer_that_can_not_be_interrupted(self, k):
        time = DEFINE_SEQLOCK("time")
        with k.hardirq():
            assert not read_seqretry(time, read_seqbegin(time))
        flags = write_seqlock_irqsave(time)
        write_sequnlock_irqrestore(time, flags)
        assert not read_seqretry(time, read_seqbegin(time))


class TestReclaim:
    def test_by_way_of_another_lock(self, k):
        outer, inner = mutexes("outer", "inner")
        one = shrinker(count_objects=lambda _, __: 1, scan_objects=lambda _, __: nest(outer) or 0)
        register_shrinker(one, "one")
        k.write_file("/proc/sys/vm/drop_caches", "2")
        unregister_shrinker(one)
        nest(outer, inner)
        with k.expect("lock-held-across-reclaim") as found, held(inner):
            kfree(kmalloc(64, GFP_KERNEL))
        assert "  fs_reclaim --> outer --> inner" in found[0].lines


CANCEL = "lock-deadlock-with-cancel"


class TestCallbacks:
    def test_a_timer(self, k):
        lock = DEFINE_SPINLOCK("lock")
        timer = DEFINE_TIMER("timer", lambda timer: nest(lock, way=spinning))
        mod_timer(timer, jiffies() + 1)
        k.advance(1)
        del_timer_sync(timer)
        with k.expect(CANCEL) as found, held(lock, spin_lock_bh, spin_unlock_bh):
            del_timer_sync(timer)
        assert found[0].headline == "WARNING: possible circular locking dependency detected"

    def test_a_timer_in_the_other_order(self, k):
        lock = DEFINE_SPINLOCK("lock")
        timer = DEFINE_TIMER("timer", lambda timer: nest(lock, way=spinning))
        with held(lock, spin_lock_bh, spin_unlock_bh):
            del_timer_sync(timer)
        mod_timer(timer, jiffies() + 1)
        with k.expect(CANCEL):
            k.advance(1)

    def test_a_timer_that_an_interrupt_may_hold_up(self, k):
        lock = DEFINE_SPINLOCK("lock")
        timer = DEFINE_TIMER("timer", lambda timer: None)
        mod_timer(timer, jiffies() + 1)
        k.advance(1)
        with k.hardirq():
            nest(lock, way=spinning)
        with k.expect(CANCEL) as found, irqs_off(lock):
            del_timer_sync(timer)
        assert found[0].headline == "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"

    def test_a_high_resolution_timer(self, k):
        lock, timer = DEFINE_SPINLOCK("lock"), hrtimer()
        hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL)

        def expired(timer):
            nest(lock, way=spinning)
            return HRTIMER_NORESTART

        timer.function = expired
        hrtimer_start(timer, ms_to_ktime(1), HRTIMER_MODE_REL)
        k.advance(1)
        with k.expect(CANCEL) as found, irqs_off(lock):
            hrtimer_cancel(timer)
        assert found[0].headline.startswith("BUG: kmock: lock-deadlock-with-cancel")

    def test_a_tasklet(self, k):
        lock = DEFINE_SPINLOCK("lock")
        tasklet = DECLARE_TASKLET("tasklet", lambda tasklet: nest(lock, way=spinning))
        tasklet_schedule(tasklet)
        k.run()
        tasklet_kill(tasklet)
        with k.expect(CANCEL), irqs_off(lock), k.expect("sleep-conditionally-in-atomic"):
            tasklet_kill(tasklet)

    def test_work_items_and_their_queues(self, k):
        lock = DEFINE_MUTEX("lock")
        wq = alloc_workqueue("mine", 0, 0)
        work = DECLARE_WORK("work", lambda work: nest(lock))
        queue_work(wq, work)
        flush_work(work)
        for wait in (lambda: flush_work(work), lambda: flush_workqueue(wq)):
            with k.expect(CANCEL, count=1), held(lock):
                wait()
        destroy_workqueue(wq)

    def test_destroying_a_queue_waits_for_its_items(self, k):
        lock = DEFINE_MUTEX("lock")
        wq = alloc_workqueue("mine", 0, 0)
        work = DECLARE_WORK("work", lambda work: nest(lock))
        queue_work(wq, work)
        flush_work(work)
        with k.expect(CANCEL), held(lock):
            destroy_workqueue(wq)

    def test_a_delayed_item(self, k):
        lock = DEFINE_MUTEX("lock")
        dwork = DECLARE_DELAYED_WORK("dwork", lambda work: nest(lock))
        schedule_delayed_work(dwork, 1)
        k.advance(1)
        with k.expect(CANCEL), held(lock):
            cancel_delayed_work_sync(dwork)

    def test_an_item_that_takes_no_such_lock(self, k):
        a, b = mutexes("a", "b")
        work = DECLARE_WORK("work", lambda work: nest(a))
        schedule_work(work)
        with held(b):
            flush_work(work)

    def test_an_item_may_release_what_it_took(self, k):
        lock = DEFINE_MUTEX("lock")
        work = DECLARE_WORK("work", lambda work: nest(lock))
        for _ in range(3):
            schedule_work(work)
            flush_work(work)
        nest(lock)
        assert k.current.held == []

    @pytest.mark.parametrize("wait", [disable_irq, synchronize_irq, lambda irq: free_irq(irq, "dev")])
    def test_a_handler(self, k, wait):
        lock = DEFINE_SPINLOCK("lock")

        def handler(irq, dev):
            nest(lock, way=spinning)
            return IRQ_HANDLED

        request_irq(7, handler, 0, "dev", "dev")
        k.raise_irq(7)
        kind = "lock-deadlock-with-free-irq"
        with k.expect("*") as found, irqs_off(lock):
            wait(7)
        assert kind in {r.kind for r in found}
        free_irq_if_there(k, 7)

    def test_not_waiting_for_a_handler(self, k):
        lock = DEFINE_SPINLOCK("lock")

        def handler(irq, dev):
            nest(lock, way=spinning)
            return IRQ_HANDLED

        request_irq(7, handler, 0, "dev", "dev")
        k.raise_irq(7)
        with irqs_off(lock):
            disable_irq_nosync(7)
        enable_irq(7)
        free_irq(7, "dev")


def free_irq_if_there(k, irq):
    if k.irqs.actions(irq):
        free_irq(irq, "dev")


class TestTrylock:
    def test_the_result_is_looked_at_but_does_not_matter(self, k):
        lock = DEFINE_MUTEX("lock")
        mutex_lock(lock)

        def hasty():
            taken = mutex_trylock(lock)
            mutex_unlock(lock)
            return taken

        with k.on_cpu(1), k.expect("lock-trylock-ignored", count=1):
            hasty()

    def test_nobody_looks(self, k):
        lock = DEFINE_SPINLOCK("lock")
        with k.expect("lock-trylock-ignored"):
            spin_trylock(lock)
        spin_unlock(lock)

    def test_handed_on(self, k):
        lock = DEFINE_SPINLOCK("lock")

        def attempt():
            return spin_trylock(lock)

        assert attempt()
        spin_unlock(lock)
