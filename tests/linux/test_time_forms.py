"""Waiting, being busy and firing later: each call against the virtual clock."""

from __future__ import annotations

import pytest

from kmock.linux import jiffies as j
from kmock.linux.delay import fsleep, mdelay, msleep, msleep_interruptible, ndelay, ssleep, udelay, usleep_range
from kmock.linux.hrtimer import (
    CLOCK_MONOTONIC,
    HRTIMER_MODE_REL,
    HRTIMER_NORESTART,
    hrtimer,
    hrtimer_callback_running,
    hrtimer_forward,
    hrtimer_get_expires,
    hrtimer_get_remaining,
    hrtimer_init,
    hrtimer_is_queued,
    hrtimer_restart,
    hrtimer_set_expires,
    hrtimer_start_range_ns,
    hrtimer_try_to_cancel,
)
from kmock.linux.jiffies import get_jiffies_64, jiffies
from kmock.linux.kthread import kthread_run
from kmock.linux.ktime import ktime_get, ktime_get_ns
from kmock.linux.sched.signal import SIGTERM, send_sig
from kmock.linux.timer import (
    add_timer,
    del_singleshot_timer_sync,
    destroy_timer_on_stack,
    mod_timer,
    round_jiffies,
    round_jiffies_relative,
    timer_delete,
    timer_delete_sync,
    timer_list,
    timer_pending,
    timer_reduce,
    timer_setup,
    timer_setup_on_stack,
    timer_shutdown,
    try_to_del_timer_sync,
)

NS, US, MS, S = 1, 1_000, 1_000_000, 1_000_000_000
TICK = 4 * MS


@pytest.mark.parametrize(
    ("wait", "amount", "unit", "late"),
    [
        (ndelay, 300, NS, US),
        (udelay, 20, US, US),
        (mdelay, 2, MS, US),
        (fsleep, 50, US, MS),
        (msleep, 10, MS, 2 * TICK),
        (msleep_interruptible, 10, MS, 2 * TICK),
        (ssleep, 2, S, 2 * TICK),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wait_takes_its_time_and_little_more(kernel, wait, amount, unit, late):
    before = ktime_get_ns()
    assert not wait(amount)
    assert amount * unit <= ktime_get() - before <= amount * unit + late


def test_a_range_is_kept(kernel):
    before = ktime_get()
    usleep_range(100, 200)
    assert 100 * US <= ktime_get() - before <= 200 * US + US


def test_a_signal_ends_an_interruptible_delay(kernel):
    left = []
    task = kthread_run(lambda _: left.append(msleep_interruptible(10_000)), None, "sleeper")
    kernel.advance(4)
    send_sig(SIGTERM, task, 1)
    kernel.run()
    assert 5_900 <= left[0] <= 6_020


CONVERSIONS = [
    ("jiffies_to_msecs", 3, 12),
    ("jiffies_to_usecs", 3, 12_000),
    ("msecs_to_jiffies", 9, 3),
    ("usecs_to_jiffies", 8_001, 3),
    ("nsecs_to_jiffies", 11_999_999, 2),
    ("secs_to_jiffies", 2, 500),
]


@pytest.mark.parametrize(("name", "given", "expected"), CONVERSIONS)
def test_conversions_at_250_hz(kernel, name, given, expected):
    assert getattr(j, name)(given) == expected


def test_the_counter_is_one_in_both_widths(kernel):
    before = get_jiffies_64()
    kernel.advance(1)
    assert get_jiffies_64() - before == 250
    assert get_jiffies_64() == jiffies()


def test_rounding_to_whole_seconds(kernel):
    when = round_jiffies(jiffies() + 1000)
    assert when % 250 == 0
    assert abs(when - jiffies() - 1000) < 250
    assert (jiffies() + round_jiffies_relative(1000)) % 250 == 0


DELETIONS = [timer_delete, timer_delete_sync, del_singleshot_timer_sync, try_to_del_timer_sync, timer_shutdown]


@pytest.mark.parametrize("delete", DELETIONS, ids=lambda delete: delete.__name__)
def test_a_deleted_timer_does_not_fire(kernel, delete):
    fired = []
    timer = timer_list()
    timer_setup(timer, fired.append, 0)
    mod_timer(timer, jiffies() + 10)
    assert (delete(timer), timer_pending(timer), delete(timer)) == (1, 0, 0)
    kernel.advance(1)
    assert fired == []


def test_a_timer_is_only_moved_nearer(kernel):
    timer = timer_list()
    timer_setup(timer, lambda t: None, 0)
    now = jiffies()
    assert timer_reduce(timer, now + 20) == 0
    assert timer_reduce(timer, now + 30) == 1
    assert timer.expires == now + 20
    assert timer_reduce(timer, now + 10) == 1
    assert timer.expires == now + 10
    timer_delete_sync(timer)


def test_a_timer_on_the_stack_is_taken_down_before_the_return(kernel):
    fired = []
    timer = timer_list()
    timer_setup_on_stack(timer, fired.append, 0)
    timer.expires = jiffies() + 5
    add_timer(timer)
    kernel.advance(0.1)
    timer_delete_sync(timer)
    destroy_timer_on_stack(timer)
    assert fired == [timer]


def test_a_high_resolution_timer_knows_its_time(kernel):
    seen = []

    def function(timer):
        seen.append(
            (ktime_get(), hrtimer_callback_running(timer), hrtimer_is_queued(timer), hrtimer_try_to_cancel(timer))
        )
        return HRTIMER_NORESTART

    timer = hrtimer()
    hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL)
    timer.function = function
    begin = ktime_get()
    hrtimer_start_range_ns(timer, 700 * US, 50 * US, HRTIMER_MODE_REL)
    assert (hrtimer_is_queued(timer), hrtimer_get_expires(timer) - begin) == (True, 700 * US)
    assert hrtimer_get_remaining(timer) == 700 * US
    assert hrtimer_try_to_cancel(timer) == 1
    hrtimer_restart(timer)
    kernel.advance(0.001)
    assert [(when - begin, *rest) for when, *rest in seen] == [(700 * US, True, False, -1)]

    hrtimer_set_expires(timer, begin)
    assert hrtimer_forward(timer, begin + 10 * US, 4 * US) == 3
    assert hrtimer_get_expires(timer) == begin + 12 * US
    assert hrtimer_try_to_cancel(timer) == 0
