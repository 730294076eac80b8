"""Timers, in jiffies and in nanoseconds."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.bottom_half import local_bh_disable, local_bh_enable
from kmock.linux.delay import msleep, udelay
from kmock.linux.hrtimer import (
    CLOCK_MONOTONIC,
    HRTIMER_MODE_REL,
    HRTIMER_MODE_REL_SOFT,
    HRTIMER_NORESTART,
    HRTIMER_RESTART,
    hrtimer,
    hrtimer_active,
    hrtimer_cancel,
    hrtimer_forward_now,
    hrtimer_init,
    hrtimer_start,
)
from kmock.linux.irqflags import local_irq_disable, local_irq_enable
from kmock.linux.jiffies import jiffies
from kmock.linux.kernel import container_of
from kmock.linux.ktime import us_to_ktime
from kmock.linux.preempt import in_hardirq, in_serving_softirq
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.smp import raw_smp_processor_id
from kmock.linux.timer import (
    DEFINE_TIMER,
    add_timer,
    add_timer_on,
    del_timer,
    del_timer_sync,
    from_timer,
    init_timer,
    mod_timer,
    mod_timer_pending,
    setup_timer,
    timer_list,
    timer_pending,
    timer_setup,
    timer_shutdown_sync,
)
from kmock.linux.types import Struct, sizeof


class Dev(Struct):
    timer: timer_list


class Plain:
    def __init__(self):
        self.timer = timer_list()


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


@pytest.fixture
def log():
    return []


def test_a_timer_fires_at_its_jiffy_and_not_before(k, log):
    timer = timer_list()
    timer_setup(timer, lambda t: log.append((t is timer, jiffies(), bool(in_serving_softirq()))), 0)
    due = jiffies() + 100
    assert mod_timer(timer, due) == 0
    assert timer_pending(timer) == 1
    k.advance(0.399)
    assert log == []
    k.advance(0.001)
    assert log == [(True, due, True)]
    assert timer_pending(timer) == 0


def test_timers_fire_in_the_order_of_their_times(k, log):
    timers = [DEFINE_TIMER(f"t{n}", lambda t, n=n: log.append(n)) for n in range(3)]
    for n, delay in enumerate((30, 10, 20)):
        mod_timer(timers[n], jiffies() + delay)
    k.advance(1)
    assert log == [1, 2, 0]


def test_a_timer_can_be_moved_and_taken_back(k, log):
    timer = DEFINE_TIMER("t", lambda t: log.append(jiffies()))
    start = jiffies()
    assert mod_timer_pending(timer, start + 5) == 0
    mod_timer(timer, start + 5)
    assert mod_timer(timer, start + 50) == 1
    k.advance(0.1)
    assert log == []
    assert del_timer(timer) == 1
    assert del_timer_sync(timer) == 0
    k.advance(1)
    assert log == []


def test_a_timer_that_arms_itself_goes_on_until_it_is_deleted(k, log):
    timer = DEFINE_TIMER("t", lambda t: (log.append(jiffies()), mod_timer(t, jiffies() + 10)))
    start = jiffies()
    mod_timer(timer, start + 10)
    k.advance(0.13)
    assert log == [start + 10, start + 20, start + 30]
    assert del_timer_sync(timer) == 1


def test_the_old_names_hand_over_data(k, log):
    first, second = timer_list(), timer_list()
    init_timer(first)
    first.function, first.data, first.expires = log.append, "first", jiffies() + 1
    add_timer(first)
    setup_timer(second, log.append, "second")
    mod_timer(second, jiffies() + 2)
    k.advance(0.1)
    assert log == ["first", "second"]


def test_a_timer_runs_on_its_processor(k, log):
    timer = DEFINE_TIMER("t", lambda t: log.append(raw_smp_processor_id()))
    timer.expires = jiffies() + 1
    add_timer_on(timer, 1)
    k.advance(0.1)
    assert log == [1]


def test_a_timer_waits_while_softirqs_or_interrupts_are_off(k, log):
    timer = DEFINE_TIMER("t", lambda t: log.append("fired"))
    for off, on in ((local_bh_disable, local_bh_enable), (local_irq_disable, local_irq_enable)):
        mod_timer(timer, jiffies() + 1)
        off()
        udelay(20_000)
        assert log == []
        on()
        assert log == ["fired"]
        log.clear()


def test_a_timer_interrupts_a_task_that_is_busy(k, log):
    timer = DEFINE_TIMER("t", lambda t: log.append("fired"))
    mod_timer(timer, jiffies() + 1)
    udelay(20_000)
    assert log == ["fired"]


def test_a_timer_that_was_shut_down_can_not_be_armed(k, log):
    timer = DEFINE_TIMER("t", lambda t: log.append("fired"))
    mod_timer(timer, jiffies() + 1)
    assert timer_shutdown_sync(timer) == 1
    assert mod_timer(timer, jiffies() + 1) == 0
    assert not timer_pending(timer)
    k.advance(1)
    assert log == []


def test_a_member_of_a_struct_leads_to_its_struct(k, log):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    timer_setup(dev.timer, lambda t: log.append(from_timer(Dev, t, "timer") == dev), 0)
    mod_timer(dev.timer, jiffies() + 1)
    msleep(20)
    del_timer_sync(dev.timer)
    kfree(dev)
    plain = Plain()
    timer_setup(plain.timer, lambda t: log.append(container_of(t, Plain, "timer") is plain), 0)
    mod_timer(plain.timer, jiffies() + 1)
    msleep(20)
    assert log == [True, True]


def test_one_definition_serves_every_kernel_anew():
    timer = DEFINE_TIMER("t", lambda t: None)
    for _ in range(2):
        with kmock.boot() as kernel:
            assert not timer_pending(timer)
            mod_timer(timer, jiffies() + 1)
            assert timer_pending(timer)
        assert not kernel.reports


def test_deleting_a_timer_in_its_own_function_never_ends(k):
    timer = DEFINE_TIMER("t", del_timer_sync)
    mod_timer(timer, jiffies() + 1)
    with k.expect("deadlock"), pytest.raises(kmock.Deadlock):
        k.advance(1)


def test_sleeping_in_a_timer_over_the_idle_task_is_reported_and_ends(k, log):
    timer = DEFINE_TIMER("t", lambda t: (msleep(10), log.append("after")))
    mod_timer(timer, jiffies() + 1)
    with k.expect("scheduled-while-atomic"):
        msleep(100)
    assert log == ["after"]


def test_a_lock_or_rcu_that_is_left_is_reported(k):
    from kmock.linux.rcupdate import rcu_read_lock
    from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock

    lock = DEFINE_SPINLOCK("left")
    for kind, function in {"rcu-unbalanced": rcu_read_lock, "irqs-left-disabled": local_irq_disable,
                           "lock-held-at-return": lambda: spin_lock(lock)}.items():  # fmt: skip
        timer = DEFINE_TIMER("t", lambda t, function=function: function())
        mod_timer(timer, jiffies() + 1)
        with k.expect(kind, count=1):
            msleep(20)


def test_an_hrtimer_restarts_itself_in_hardirq_context(k, log):
    timer = hrtimer()
    hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL)

    def tick(t):
        log.append((k.clock.now, bool(in_hardirq())))
        hrtimer_forward_now(t, us_to_ktime(10))
        return HRTIMER_RESTART if len(log) < 3 else HRTIMER_NORESTART

    timer.function = tick
    hrtimer_start(timer, us_to_ktime(5), HRTIMER_MODE_REL)
    assert hrtimer_active(timer)
    k.advance(0.001)
    assert log == [(5_000, True), (15_000, True), (25_000, True)]
    assert hrtimer_cancel(timer) == 0


def test_a_soft_hrtimer_runs_as_a_softirq(k, log):
    timer = hrtimer()
    hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT)
    timer.function = lambda t: log.append((bool(in_hardirq()), bool(in_serving_softirq()))) or HRTIMER_NORESTART
    hrtimer_start(timer, 1_000, HRTIMER_MODE_REL_SOFT)
    k.advance(0.001)
    hrtimer_start(timer, 1_000, HRTIMER_MODE_REL_SOFT)
    assert hrtimer_cancel(timer) == 1
    k.advance(0.001)
    assert log == [(False, True)]
