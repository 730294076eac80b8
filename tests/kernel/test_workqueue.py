"""Work items, tasklets, softirqs and irq_work."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.bottom_half import local_bh_disable, local_bh_enable
from kmock.linux.delay import msleep
from kmock.linux.interrupt import (
    DECLARE_TASKLET,
    HI_SOFTIRQ,
    IRQ_HANDLED,
    NET_RX_SOFTIRQ,
    free_irq,
    open_softirq,
    raise_softirq,
    request_irq,
    tasklet_disable,
    tasklet_enable,
    tasklet_hi_schedule,
    tasklet_init,
    tasklet_kill,
    tasklet_schedule,
    tasklet_struct,
)
from kmock.linux.irq_work import IRQ_WORK_INIT, IRQ_WORK_INIT_LAZY, irq_work_queue, irq_work_sync
from kmock.linux.irqflags import local_irq_disable, local_irq_enable
from kmock.linux.kernel import container_of
from kmock.linux.preempt import in_hardirq, in_serving_softirq, in_task
from kmock.linux.rcupdate import call_rcu, rcu_barrier, rcu_head, rcu_read_lock, rcu_read_unlock
from kmock.linux.sched import current
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.smp import raw_smp_processor_id
from kmock.linux.types import Struct, sizeof
from kmock.linux.workqueue import (
    DECLARE_DELAYED_WORK,
    DECLARE_WORK,
    INIT_DELAYED_WORK,
    INIT_RCU_WORK,
    INIT_WORK,
    alloc_ordered_workqueue,
    alloc_workqueue,
    cancel_delayed_work_sync,
    cancel_work_sync,
    delayed_work,
    delayed_work_pending,
    destroy_workqueue,
    drain_workqueue,
    flush_delayed_work,
    flush_rcu_work,
    flush_work,
    flush_workqueue,
    mod_delayed_work,
    queue_delayed_work,
    queue_rcu_work,
    queue_work,
    rcu_work,
    schedule_delayed_work,
    schedule_work,
    schedule_work_on,
    system_wq,
    to_delayed_work,
    to_rcu_work,
    work_pending,
    work_struct,
)


class Dev(Struct):
    number: int
    poll: delayed_work
    work: work_struct
    head: rcu_head


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


@pytest.fixture
def log():
    return []


class TestWork:
    def test_runs_in_a_worker_when_others_get_to_run(self, k, log):
        work = DECLARE_WORK("w", lambda w: log.append((w is work, bool(in_task()), current().comm)))
        assert schedule_work(work)
        assert not schedule_work(work)
        assert work_pending(work)
        assert log == []
        k.run()
        assert log == [(True, True, "kworker/0:0")]
        assert not work_pending(work)

    def test_items_begin_in_the_order_in_which_they_were_queued_and_sleep_side_by_side(self, k, log):
        def func(work):
            log.append(("begin", works.index(work)))
            msleep(10)
            log.append(("end", works.index(work)))

        works = [work_struct() for _ in range(3)]
        for work in works:
            INIT_WORK(work, func)
            schedule_work(work)
        flush_workqueue(system_wq)
        assert [n for what, n in log[:3] if what == "begin"] == [0, 1, 2]
        assert log[3:] == [("end", 0), ("end", 1), ("end", 2)]

    def test_an_ordered_queue_runs_one_after_the_other(self, k, log):
        wq = alloc_ordered_workqueue("orc%d", 0, 1)
        works = [DECLARE_WORK("w", lambda w, n=n: (log.append(n), msleep(10), log.append(n))) for n in range(3)]
        for work in works:
            queue_work(wq, work)
        destroy_workqueue(wq)
        assert log == [0, 0, 1, 1, 2, 2]

    def test_an_item_does_not_run_twice_at_a_time(self, k, log):
        def func(work):
            log.append("begin")
            msleep(10)
            log.append("end")

        work = DECLARE_WORK("w", func)
        schedule_work(work)
        msleep(1)
        assert log == ["begin"]
        assert schedule_work(work)
        flush_work(work)
        assert log == ["begin", "end", "begin", "end"]

    def test_cancelling_takes_back_what_has_not_begun_and_waits_for_the_rest(self, k, log):
        work = DECLARE_WORK("w", lambda w: (log.append("begin"), msleep(10), log.append("end")))
        schedule_work(work)
        assert cancel_work_sync(work)
        k.run()
        assert log == []
        schedule_work(work)
        msleep(1)
        assert schedule_work(work)
        assert cancel_work_sync(work)
        assert log == ["begin", "end"]
        assert not flush_work(work)

    def test_runs_on_its_processor(self, k, log):
        work = DECLARE_WORK("w", lambda w: log.append(raw_smp_processor_id()))
        schedule_work_on(1, work)
        flush_work(work)
        assert log == [1]

    def test_the_oldest_form_hands_over_data(self, k, log):
        work = work_struct()
        INIT_WORK(work, log.append, "data")
        schedule_work(work)
        flush_work(work)
        assert log == ["data"]

    def test_an_item_may_free_itself(self, k):
        dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
        INIT_WORK(dev.work, lambda w: kfree(container_of(w, Dev, "work")))
        schedule_work(dev.work)
        k.run()
        assert not k.reports

    def test_what_is_still_queued_at_the_end_runs_before_the_census(self):
        with kmock.boot() as k:
            dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
            INIT_WORK(dev.work, lambda w: kfree(dev))
            schedule_work(dev.work)
        assert not k.reports

    def test_draining_follows_items_that_queue_themselves(self, k, log):
        wq = alloc_workqueue("drained", 0, 0)

        def func(work):
            log.append(len(log))
            if len(log) < 3:
                queue_work(wq, work)

        queue_work(wq, DECLARE_WORK("w", func))
        drain_workqueue(wq)
        assert log == [0, 1, 2]
        destroy_workqueue(wq)

    def test_a_destroyed_queue_takes_nothing_more(self, k):
        wq = alloc_workqueue("gone", 0, 0)
        destroy_workqueue(wq)
        with k.expect("slab-use-after-free-read"):
            queue_work(wq, DECLARE_WORK("w", lambda w: None))


class TestDelayedWork:
    def test_waits_its_time(self, k, log):
        work = DECLARE_DELAYED_WORK("d", lambda w: log.append((to_delayed_work(w) is work, k.clock.now)))
        assert schedule_delayed_work(work, 25)
        assert not schedule_delayed_work(work, 1)
        assert delayed_work_pending(work)
        k.advance(0.09)
        assert log == []
        k.advance(0.01)
        assert log == [(True, 100_000_000)]

    def test_can_be_moved_hurried_and_taken_back(self, k, log):
        work = DECLARE_DELAYED_WORK("d", lambda w: log.append(k.clock.now))
        assert not mod_delayed_work(system_wq, work, 1000)
        assert mod_delayed_work(system_wq, work, 2000)
        assert flush_delayed_work(work)
        assert len(log) == 1
        queue_delayed_work(system_wq, work, 10)
        assert cancel_delayed_work_sync(work)
        assert not cancel_delayed_work_sync(work)
        k.advance(10)
        assert len(log) == 1

    def test_leads_to_the_struct_it_lies_in(self, k, log):
        dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
        INIT_DELAYED_WORK(dev.poll, lambda w: log.append(container_of(w, Dev, "poll.work") == dev))
        schedule_delayed_work(dev.poll, 1)
        msleep(20)
        kfree(dev)
        assert log == [True]

    def test_leads_to_the_python_object_it_lies_in(self, k, log):
        class Plain:
            def __init__(self):
                self.poll = delayed_work()

        plain = Plain()
        INIT_DELAYED_WORK(plain.poll, lambda w: log.append(container_of(w, Plain, "poll.work") is plain))
        schedule_delayed_work(plain.poll, 0)
        k.run()
        assert log == [True]


class TestSoftirqs:
    def test_a_tasklet_scheduled_by_a_handler_runs_when_the_handler_returns(self, k, log):
        tasklet = DECLARE_TASKLET("t", lambda t: log.append((t is tasklet, bool(in_serving_softirq()))))

        def handler(irq, dev):
            tasklet_schedule(tasklet)
            tasklet_schedule(tasklet)
            log.append("handler")
            return IRQ_HANDLED

        request_irq(5, handler, 0, "dev", "cookie")
        k.raise_irq(5)
        assert log == ["handler", (True, True)]
        free_irq(5, "cookie")

    def test_a_handler_that_comes_with_softirqs_off_leaves_it_to_their_enabling(self, k, log):
        tasklet = DECLARE_TASKLET("t", lambda t: log.append("tasklet"))
        local_bh_disable()
        with k.hardirq():
            tasklet_schedule(tasklet)
        assert log == []
        local_bh_enable()
        assert log == ["tasklet"]

    def test_one_scheduled_by_a_task_is_left_to_ksoftirqd(self, k, log):
        tasklet = DECLARE_TASKLET("t", lambda t: log.append(current().comm))
        tasklet_schedule(tasklet)
        assert log == []
        k.run()
        assert log == ["ksoftirqd/0"]

    def test_high_priority_goes_first(self, k, log):
        low, high = (DECLARE_TASKLET("t", lambda t, name=name: log.append(name)) for name in ("low", "high"))
        with k.hardirq():
            tasklet_schedule(low)
            tasklet_hi_schedule(high)
        assert log == ["high", "low"]

    def test_a_disabled_tasklet_waits_to_be_enabled(self, k, log):
        tasklet = tasklet_struct()
        tasklet_init(tasklet, log.append, "data")
        tasklet_disable(tasklet)
        tasklet_schedule(tasklet)
        k.run()
        assert log == []
        tasklet_enable(tasklet)
        tasklet_kill(tasklet)
        assert log == ["data"]

    def test_a_tasklet_that_schedules_itself_lets_others_run(self, k, log):
        tasklet = DECLARE_TASKLET("t", lambda t: (log.append(1), len(log) < 100 and tasklet_schedule(t)))
        tasklet_schedule(tasklet)
        k.run()
        assert len(log) == 100

    def test_a_softirq_of_ones_own(self, k, log):
        open_softirq(NET_RX_SOFTIRQ, lambda: log.append("rx"))
        with k.softirq():
            raise_softirq(NET_RX_SOFTIRQ)
            raise_softirq(HI_SOFTIRQ)
            assert log == []
        assert log == ["rx"]


class TestIrqWork:
    def test_runs_in_hardirq_context_as_soon_as_interrupts_are_on(self, k, log):
        work = IRQ_WORK_INIT(lambda w: log.append(bool(in_hardirq())))
        local_irq_disable()
        assert irq_work_queue(work)
        assert not irq_work_queue(work)
        assert log == []
        local_irq_enable()
        assert log == [True]

    def test_a_lazy_one_waits_for_the_tick(self, k, log):
        work = IRQ_WORK_INIT_LAZY(lambda w: log.append(bool(in_hardirq())))
        irq_work_queue(work)
        assert log == []
        irq_work_sync(work)
        assert log == [True]


def test_an_rcu_head_whose_callback_is_pending_must_not_be_freed(k):
    dev = Dev.at(kzalloc(sizeof(Dev), GFP_KERNEL))
    call_rcu(dev.head, lambda head: None)
    with k.expect("free-active-object", count=1):
        kfree(dev)
    rcu_barrier()


def test_the_same_seed_gives_the_same_order():
    def order(seed):
        log = []
        with kmock.boot(seed=seed) as k:
            for n in range(8):
                schedule_work(DECLARE_WORK("w", lambda w, n=n: (msleep(1), log.append(n))))
            k.run()
        return log

    assert order(7) == order(7)
    assert sorted(order(7)) == list(range(8))


def test_work_after_a_grace_period(k):
    ran = []
    rwork = rcu_work()
    INIT_RCU_WORK(rwork, lambda work: ran.append(to_rcu_work(work) is rwork))
    rcu_read_lock()
    assert queue_rcu_work(system_wq, rwork)
    assert not queue_rcu_work(system_wq, rwork)
    k.advance(1)
    assert ran == []
    rcu_read_unlock()
    assert flush_rcu_work(rwork)
    assert ran == [True]
    assert not flush_rcu_work(rwork)
