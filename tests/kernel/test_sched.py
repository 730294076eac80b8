"""Tasks, virtual time, and waits that nothing ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kmock
from kmock.linux.completion import DECLARE_COMPLETION, complete, wait_for_completion, wait_for_completion_timeout
from kmock.linux.delay import mdelay, msleep, udelay, usleep_range
from kmock.linux.jiffies import jiffies, msecs_to_jiffies, time_after, time_before
from kmock.linux.kthread import kthread_create, kthread_exit, kthread_run, kthread_should_stop, kthread_stop
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.preempt import preempt_count, preempt_disable, preempt_enable
from kmock.linux.sched import (
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    cond_resched,
    current,
    schedule,
    schedule_timeout,
    set_current_state,
    wake_up_process,
)
from kmock.linux.smp import raw_smp_processor_id
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import NULL
from kmock.linux.wait import DECLARE_WAIT_QUEUE_HEAD, wait_event_interruptible, wake_up


@pytest.fixture
def k():
    with kmock.boot(cpus=4) as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def test_one_task_needs_no_greenlet():
    program = (
        "import sys, kmock\n"
        "from kmock.linux.delay import msleep\n"
        "from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock\n"
        "with kmock.boot() as k:\n"
        "    lock = DEFINE_MUTEX('lock'); mutex_lock(lock); msleep(5); mutex_unlock(lock); k.run(); k.advance(1)\n"
        "print('greenlet' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_time_jumps_to_the_next_timeout(k):
    msleep(10)
    assert k.clock.now == 16_000_000  # three jiffies of 4 ms and one for the rounding
    usleep_range(100, 200)
    assert k.clock.now == 16_100_000
    udelay(5)
    mdelay(1)
    assert k.clock.now == 17_105_000


def test_jiffies_wrap_soon_after_boot(k):
    before = jiffies()
    assert before == (-300 * 250) & 0xFFFFFFFF
    k.advance(1)
    assert jiffies() - before == 250
    assert time_after(jiffies(), before)
    assert time_before(before, jiffies())
    assert msecs_to_jiffies(10) == 3


def test_a_thread_runs_when_the_test_blocks(k):
    log = []

    def thread(data):
        log.append((data, current().comm, preempt_count()))
        return 5

    task = kthread_run(thread, "data", "worker/%d", 3)
    assert log == []
    schedule()
    assert log == [("data", "worker/3", 0)]
    assert kthread_stop(task) == 5


def test_a_thread_that_never_ran_is_not_called(k):
    task = kthread_create(lambda data: pytest.fail("it ran"), None, "never")
    assert kthread_stop(task) == -4


def test_threads_take_turns(k):
    log = []

    def thread(name):
        for n in range(2):
            log.append(f"{name}{n}")
            cond_resched()
        return 0

    for name in "ab":
        kthread_run(thread, name, name)
    k.run()
    assert log == ["a0", "b0", "a1", "b1"]


def test_run_lets_sleepers_finish_and_leaves_time_alone_without_them(k):
    done = []
    kthread_run(lambda data: (msleep(20), done.append(jiffies())), None, "sleeper")
    k.run()
    assert len(done) == 1
    now = k.clock.now
    k.run()
    assert k.clock.now == now


def test_run_ends_although_a_thread_works_periodically(k):
    beats = []

    def heart(data):
        while not kthread_should_stop():
            beats.append(1)
            msleep(1000)
        return 0

    task = kthread_run(heart, None, "heart")
    k.run()
    assert 5 <= len(beats) <= 11
    kthread_stop(task)


def test_kthread_stop_wakes_the_thread(k):
    def thread(data):
        while not kthread_should_stop():
            set_current_state(TASK_INTERRUPTIBLE)
            if not kthread_should_stop():
                schedule()
            set_current_state(TASK_RUNNING)
        return 9

    task = kthread_run(thread, None, "t")
    k.run()
    assert kthread_stop(task) == 9


def test_kthread_exit_ends_it(k):
    task = kthread_run(lambda data: kthread_exit(3), None, "t")
    k.run()
    assert kthread_stop(task) == 3


def test_schedule_timeout_returns_what_was_left(k):
    me = current()
    kthread_run(lambda data: (msleep(8), wake_up_process(me)), None, "waker")
    set_current_state(TASK_INTERRUPTIBLE)
    left = schedule_timeout(100)
    assert 90 < left < 100
    set_current_state(TASK_INTERRUPTIBLE)
    assert schedule_timeout(5) == 0


def test_each_task_has_its_own_preempt_count(k):
    seen = []

    def thread(data):
        seen.append((preempt_count(), raw_smp_processor_id()))
        return 0

    kthread_run(thread, None, "t")
    preempt_disable()
    with k.expect("scheduled-while-atomic"):
        schedule()
    assert preempt_count() == 1
    preempt_enable()
    assert seen == [(0, 1)]


def test_a_spinner_lets_the_holder_run(k):
    lock = DEFINE_SPINLOCK("lock")
    log = []

    def holder(data):
        spin_lock(lock)
        cond_resched_anyway()
        log.append("released")
        spin_unlock(lock)
        return 0

    def cond_resched_anyway():
        with k.expect("scheduled-while-atomic"):
            schedule()

    kthread_run(holder, None, "holder")
    schedule()
    spin_lock(lock)
    log.append("taken")
    spin_unlock(lock)
    assert log == ["released", "taken"]


def test_an_assertion_in_a_thread_reaches_the_test(k):
    def thread(data):
        raise AssertionError("in the thread")

    kthread_run(thread, None, "t")
    with pytest.raises(AssertionError, match="in the thread"):
        k.run()
    assert current().comm == "test"


def test_an_oops_ends_the_thread_and_not_the_test():
    with kmock.boot() as k:
        kthread_run(lambda data: NULL[0], None, "t")
        k.run()
        assert current().comm == "test"
        assert [r.severity for r in k.reports] == ["oops"]


def test_nothing_of_a_thread_runs_after_the_end():
    left = []

    def thread(data):
        try:
            wait_event_interruptible(DECLARE_WAIT_QUEUE_HEAD("q"), lambda: False)
        finally:
            left.append("unwound")
            msleep(1)
            left.append("went on")

    with kmock.boot() as k:
        kthread_run(thread, None, "t")
        k.run()
    assert left == ["unwound"]
    assert k.reports == []


# -- waits that nothing ends ----------------------------------------------------------------------------------


def test_a_wait_that_nothing_ends_is_a_hang(k):
    done = DECLARE_COMPLETION("done")
    with k.expect("hang") as found, pytest.raises(kmock.Deadlock) as caught:
        wait_for_completion(done)
    assert caught.value.report is found[0]
    assert "waits for completion done" in found[0].lines[0]


def test_two_tasks_and_two_locks_are_a_deadlock(k):
    a, b = DEFINE_MUTEX("a"), DEFINE_MUTEX("b")

    def other(data):
        mutex_lock(b)
        msleep(1)
        mutex_lock(a)

    mutex_lock(a)
    kthread_run(other, None, "other")
    msleep(20)
    with k.expect("deadlock") as found, pytest.raises(kmock.Deadlock):
        mutex_lock(b)
    text = "\n".join(found[0].lines)
    assert "waits for mutex a" in text
    assert "waits for mutex b" in text
    assert "held by other/" in text


def test_threads_that_deadlock_are_reported_without_the_test(k):
    a, b = DEFINE_MUTEX("a"), DEFINE_MUTEX("b")

    def thread(locks):
        mutex_lock(locks[0])
        msleep(1)
        mutex_lock(locks[1])

    kthread_run(thread, (a, b), "one")
    kthread_run(thread, (b, a), "two")
    with k.expect("deadlock"):
        k.run()
    with k.expect("hang", count=0):
        k.run()
    k.balance.excused = True


def test_a_thread_that_waits_for_the_test_is_no_hang(k):
    queue = DECLARE_WAIT_QUEUE_HEAD("queue")
    ready = []
    log = []
    kthread_run(lambda data: (wait_event_interruptible(queue, lambda: ready), log.append(1)), None, "t")
    k.run()
    k.advance(500)
    ready.append(1)
    wake_up(queue)
    k.run()
    assert log == [1]


def test_an_uninterruptible_wait_left_at_the_end_is_a_hang():
    with kmock.boot() as k:
        kthread_run(lambda data: wait_for_completion(DECLARE_COMPLETION("never")), None, "t")
        k.run()
        assert k.reports == []
    assert [r.kind for r in k.reports] == ["completion-never"]
    assert k.reports[0].is_a("hang")


def test_waiting_in_vain_beside_a_periodic_thread_is_a_hang(k):
    def heart(data):
        while not kthread_should_stop():
            msleep(1000)
        return 0

    kthread_run(heart, None, "heart")
    with k.expect("hang"), pytest.raises(kmock.Deadlock):
        wait_for_completion(DECLARE_COMPLETION("never"))


def test_a_timeout_ends_a_wait(k):
    done = DECLARE_COMPLETION("done")
    assert wait_for_completion_timeout(done, 10) == 0
    kthread_run(lambda data: (msleep(4), complete(done)), None, "t")
    assert 0 < wait_for_completion_timeout(done, 100) <= 100


def test_a_mutex_goes_to_who_waited_longest(k):
    lock = DEFINE_MUTEX("lock")
    log = []

    def thread(name):
        mutex_lock(lock)
        log.append(name)
        mutex_unlock(lock)
        return 0

    mutex_lock(lock)
    for name in "abc":
        kthread_run(thread, name, name)
    msleep(1)
    mutex_unlock(lock)
    k.run()
    assert log == ["a", "b", "c"]


# -- determinism ----------------------------------------------------------------------------------------------

RACE = """
import sys, kmock
from kmock.linux.delay import msleep
from kmock.linux.kthread import kthread_run
from kmock.linux.preempt import preempt_disable
from kmock.linux.printk import printk
from kmock.linux.sched import current, schedule

def thread(data):
    for n in range(4):
        printk("%s %d", current().comm, n)
        schedule()
    return 0

with kmock.boot(seed=int(sys.argv[1]), cpus=4) as k:
    for n in range(6):
        kthread_run(thread, None, f"racer/{n}")
    k.run()
    preempt_disable()
    msleep(1)
    k.shutdown()
    print(k.dmesg())
"""


def race(seed):
    done = subprocess.run([sys.executable, "-c", RACE, str(seed)], capture_output=True, text=True, check=True)
    assert "racer/5 3" in done.stdout
    return done.stdout


def test_the_same_seed_gives_the_same_run():
    assert race(7) == race(7)


def test_another_seed_gives_another_run():
    assert len({race(0), race(7), race(8)}) == 3
