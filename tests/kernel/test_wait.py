"""Wait queues and completions."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.completion import (
    DECLARE_COMPLETION,
    complete,
    complete_all,
    completion,
    completion_done,
    init_completion,
    reinit_completion,
    try_wait_for_completion,
    wait_for_completion,
    wait_for_completion_interruptible,
    wait_for_completion_timeout,
)
from kmock.linux.delay import msleep
from kmock.linux.kthread import kthread_run
from kmock.linux.sched import TASK_INTERRUPTIBLE, current, schedule, signal_pending
from kmock.linux.sched.signal import SIGKILL, send_sig
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irq, spin_unlock_irq
from kmock.linux.wait import (
    DECLARE_WAIT_QUEUE_HEAD,
    DEFINE_WAIT,
    finish_wait,
    init_waitqueue_head,
    interruptible_sleep_on_timeout,
    prepare_to_wait,
    prepare_to_wait_exclusive,
    wait_event,
    wait_event_interruptible,
    wait_event_interruptible_exclusive,
    wait_event_interruptible_timeout,
    wait_event_lock_irq,
    wait_event_timeout,
    wait_queue_head_t,
    waitqueue_active,
    wake_up,
    wake_up_all,
    wake_up_interruptible,
    wake_up_nr,
)


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


@pytest.fixture
def queue(k):
    return DECLARE_WAIT_QUEUE_HEAD("queue")


def test_an_event_wakes_and_is_tested_again(k, queue):
    box, log = [], []
    kthread_run(lambda data: (wait_event(queue, lambda: len(box) > 1), log.append("awake")), None, "t")
    k.run()
    assert waitqueue_active(queue)
    for item in "ab":
        assert log == []
        box.append(item)
        wake_up(queue)
        k.run()
    assert log == ["awake"]
    assert not waitqueue_active(queue)


def test_a_condition_that_holds_does_not_wait(k, queue):
    wait_event(queue, 1)
    assert wait_event_interruptible(queue, lambda: True) == 0
    assert wait_event_timeout(queue, lambda: True, 10) == 10
    assert k.clock.now == 0


def test_timeouts(k, queue):
    assert wait_event_timeout(queue, lambda: False, 10) == 0
    assert k.clock.jiffies == (-300 * 250 & 0xFFFFFFFF) + 10
    done = []
    kthread_run(lambda data: (msleep(4), done.append(1), wake_up(queue)), None, "t")
    assert 0 < wait_event_interruptible_timeout(queue, lambda: done, 1000) < 1000


def test_a_signal_ends_an_interruptible_wait(k, queue):
    got = []
    task = kthread_run(lambda data: got.append(wait_event_interruptible(queue, lambda: False)), None, "t")
    k.run()
    send_sig(SIGKILL, task, 0)
    assert signal_pending(task)
    assert not signal_pending(current)
    k.run()
    assert got == [-512]


def test_one_exclusive_waiter_is_woken_at_a_time(k, queue):
    log = []
    go = []

    def thread(n):
        wait_event_interruptible_exclusive(queue, lambda: go)
        log.append(n)

    for n in range(4):
        kthread_run(thread, n, "t")
    k.run()
    go.append(1)
    wake_up(queue)
    k.run()
    assert log == [0]
    wake_up_nr(queue, 2)
    k.run()
    assert log == [0, 1, 2]
    wake_up_all(queue)
    k.run()
    assert log == [0, 1, 2, 3]


def test_waiting_by_hand(k, queue):
    done = []

    def thread(data):
        entry = DEFINE_WAIT("entry")
        while not done:
            prepare_to_wait(queue, entry, TASK_INTERRUPTIBLE)
            if not done:
                schedule()
        finish_wait(queue, entry)
        done.append("seen")

    kthread_run(thread, None, "t")
    k.run()
    done.append(1)
    wake_up_interruptible(queue)
    k.run()
    assert done == [1, "seen"]


def test_waking_between_preparing_and_sleeping_is_not_lost(k, queue):
    entry = DEFINE_WAIT("entry")
    assert prepare_to_wait_exclusive(queue, entry, TASK_INTERRUPTIBLE) is True
    wake_up(queue)
    schedule()
    finish_wait(queue, entry)


def test_waiting_with_a_spin_lock(k, queue):
    lock = DEFINE_SPINLOCK("lock")
    box = []

    def producer(data):
        spin_lock_irq(lock)
        box.append(1)
        spin_unlock_irq(lock)
        wake_up(queue)

    kthread_run(producer, None, "producer")
    spin_lock_irq(lock)
    wait_event_lock_irq(queue, lambda: box, lock)
    spin_unlock_irq(lock)
    assert box == [1]


def test_the_old_way_of_sleeping(k, queue):
    assert interruptible_sleep_on_timeout(queue, 5) == 0


def test_a_queue_has_to_be_initialised(k):
    queue = wait_queue_head_t()
    with k.expect("lock-uninitialised"):
        wake_up(queue)
    init_waitqueue_head(queue)
    wake_up(queue)


def test_a_completion_counts(k):
    done = completion()
    init_completion(done)
    complete(done)
    complete(done)
    assert completion_done(done)
    wait_for_completion(done)
    assert try_wait_for_completion(done)
    assert not try_wait_for_completion(done)
    complete_all(done)
    for _ in range(3):
        assert wait_for_completion_interruptible(done) == 0
    reinit_completion(done)
    assert wait_for_completion_timeout(done, 3) == 0


def test_completing_from_an_interrupt(k):
    done = DECLARE_COMPLETION("done")
    log = []
    kthread_run(lambda data: (wait_for_completion(done), log.append(1)), None, "t")
    k.run()
    with k.hardirq():
        complete(done)
        assert log == []
    k.run()
    assert log == [1]


def test_current_has_the_tasks_members(k):
    assert current.comm == "test"
    assert current == k.current
    current.flags |= 0x800
    assert k.current.flags & 0x800
    current.flags &= ~0x800
