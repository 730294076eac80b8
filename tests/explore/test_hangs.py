"""Waits that nothing ends, each told at once: with tasks that a test starts, explored or not."""

from __future__ import annotations

import pytest

import kmock
from kmock.explore.search import explore
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.completion import DECLARE_COMPLETION, complete, wait_for_completion
from kmock.linux.delay import msleep
from kmock.linux.jiffies import jiffies, msecs_to_jiffies, time_before
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.processor import cpu_relax
from kmock.linux.sched import TASK_INTERRUPTIBLE, current, schedule, set_current_state, wake_up_process
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import Struct, u32
from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event, wait_event_interruptible, wake_up


class Dev(Struct):
    ready: u32


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
        kernel.balance.excused = True


def hang(k, kind, *, among=()):
    with k.expect(kind) as found, pytest.raises(kmock.Deadlock):
        k.join(*among)
    return found[0]


# -- starting and joining -----------------------------------------------------------------------------------


def test_spawned_tasks_run_where_they_are_told_to_and_are_joined(k):
    log = []
    tasks = [k.spawn(lambda n: log.append((n, k.cpu.id, current().comm)), cpu, cpu=cpu, name="body") for cpu in (1, 0)]
    assert log == []
    k.join(tasks[1])
    assert (0, 0, "body") in log
    k.join()
    assert len(log) == 2
    k.join()


def test_time_goes_on_for_who_is_joined(k):
    task = k.spawn(msleep, 5000)
    k.join(task)
    assert k.clock.now >= 5 * 10**9


def test_what_a_spawned_task_raises_reaches_the_test(k):
    def body():
        raise ValueError("from the body")

    k.spawn(body)
    with pytest.raises(ValueError, match="from the body"):
        k.join()


def test_an_oops_ends_the_spawned_task_alone(k):
    log = []
    k.spawn(lambda: kzalloc(8, GFP_KERNEL)[1 << 40], name="oopses")
    k.spawn(log.append, 1)
    with k.expect("*"):
        k.join()
    assert log == [1]


def test_a_spawned_task_that_ends_holding_a_lock_is_found(k):
    with k.expect("lock-*"):
        k.spawn(mutex_lock, DEFINE_MUTEX("kept"))
        k.join()


# -- hangs --------------------------------------------------------------------------------------------------


def test_a_wait_whose_waker_is_gone(k):
    done = DECLARE_COMPLETION("done")
    k.spawn(wait_for_completion, done, name="waiter")
    report = hang(k, "hang")
    assert "waiter" in report.headline
    assert "waits for completion" in "\n".join(report.lines)


def test_an_interruptible_wait_too(k):
    k.spawn(wait_event_interruptible, DECLARE_WAIT_QUEUE_HEAD("queue"), lambda: False, name="waiter")
    hang(k, "hang")


def test_a_condition_that_came_true_unsaid_is_a_lost_wake_up(k):
    queue, ready = DECLARE_WAIT_QUEUE_HEAD("queue"), []
    k.spawn(wait_event, queue, lambda: ready, name="waiter")
    k.spawn(ready.append, 1)
    assert "has come true" in "\n".join(hang(k, "lost-wakeup").lines)


def test_a_condition_that_was_announced_is_none(k):
    queue, ready = DECLARE_WAIT_QUEUE_HEAD("queue"), []
    k.spawn(wait_event, queue, lambda: ready)
    k.spawn(lambda: (ready.append(1), wake_up(queue)))
    k.join()


def test_a_wake_up_that_came_too_early_is_a_lost_one(k):
    def sleeper():
        msleep(10)
        set_current_state(TASK_INTERRUPTIBLE)
        schedule()

    def busy():
        task = current()
        k.spawn(wake_up_process, task)
        cpu_relax()
        set_current_state(TASK_INTERRUPTIBLE)
        schedule()

    k.spawn(busy, name="sleeper")
    report = hang(k, "lost-wakeup")
    assert "woken too early" in report.stacks


def test_only_the_tasks_that_are_joined_count(k):
    k.spawn(wait_for_completion, DECLARE_COMPLETION("never"))
    k.join(k.spawn(msleep, 1))
    with k.expect("hang"):
        k.shutdown()


def test_polling_what_nobody_is_left_to_change(k):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))

    def poll():
        while not READ_ONCE(dev.ready):
            cpu_relax()

    k.spawn(poll)
    report = hang(k, "hang")
    assert report.headline.startswith("watchdog: BUG: soft lockup - CPU#")
    kfree(dev)


def test_polling_with_a_limit_ends(k):
    until = jiffies() + msecs_to_jiffies(100)

    def poll():
        while time_before(jiffies(), until):
            cpu_relax()

    k.spawn(poll)
    k.join()


def test_polling_lets_others_go_on(k):
    log = []

    def poll():
        while not log:
            cpu_relax()

    k.spawn(poll)
    k.spawn(log.append, 1)
    k.join()


# -- the same while interleavings are explored --------------------------------------------------------------


def found(program, **boot):
    result = explore(program, **boot)
    assert result.failed is not None
    return result.failed


def test_a_lock_that_nobody_releases():
    lock = DEFINE_SPINLOCK("lock")

    def program(k):
        k.spawn(spin_lock, lock, cpu=0, name="forgetful")
        k.spawn(lambda: (spin_lock(lock), spin_unlock(lock)), cpu=1, name="spinner")
        k.join()

    assert {"hang", "deadlock"} & found(program).failure


def test_two_mutexes_in_opposite_order():
    a, b = DEFINE_MUTEX("a"), DEFINE_MUTEX("b")

    def take(first, second):
        mutex_lock(first)
        mutex_lock(second)
        mutex_unlock(second)
        mutex_unlock(first)

    def program(k):
        k.spawn(take, a, b, cpu=0)
        k.spawn(take, b, a, cpu=1)
        k.join()

    # Without lockdep, which would tell before it happens.
    run = found(program, lockdep=False)
    assert "deadlock" in run.failure
    assert any("held by take/" in line for report in run.reports for line in report.lines)


def test_a_loop_that_polls_without_a_word():
    def program(k):
        dev = Dev.at(kzalloc(64, GFP_KERNEL))

        def poll():
            while not READ_ONCE(dev.ready):
                pass

        k.spawn(poll, cpu=0)
        k.join()

    assert {"busy-loop", "hang"} <= found(program).failure


def test_a_completion_is_never_lost():
    done = DECLARE_COMPLETION("done")

    def program(k):
        dev = Dev.at(kzalloc(64, GFP_KERNEL))

        def waiter():
            wait_for_completion(done)
            assert dev.ready == 1

        def worker():
            dev.ready = 1
            complete(done)

        k.spawn(waiter, cpu=0)
        k.spawn(worker, cpu=1)
        k.join()
        kfree(dev)

    for strategy in ("pct", "random", "exhaustive"):
        assert explore(program, strategy=strategy, runs=60).failed is None


def test_wait_event_never_loses_a_wake_up():
    queue = DECLARE_WAIT_QUEUE_HEAD("queue")

    def program(k):
        dev = Dev.at(kzalloc(64, GFP_KERNEL))
        k.spawn(lambda: wait_event(queue, lambda: READ_ONCE(dev.ready)), cpu=0)
        k.spawn(lambda: (WRITE_ONCE(dev, "ready", 1), wake_up(queue)), cpu=1)
        k.join()
        kfree(dev)

    for strategy in ("pct", "random", "exhaustive"):
        assert explore(program, strategy=strategy, runs=60).failed is None
