"""Wait queues, completions, threads, deferred work and interrupts: the forms that differ in one thing from a neighbour."""

from __future__ import annotations

from errno import EBUSY, ENOSYS
from signal import SIGKILL
from types import SimpleNamespace

import pytest

from kmock.linux import sched, wait, workqueue
from kmock.linux.completion import (
    DECLARE_COMPLETION,
    complete,
    wait_for_completion_interruptible_timeout,
    wait_for_completion_killable,
    wait_for_completion_killable_timeout,
)
from kmock.linux.hardirq import synchronize_hardirq, synchronize_irq
from kmock.linux.interrupt import (
    DECLARE_TASKLET,
    IRQ_HANDLED,
    disable_hardirq,
    disable_irq_nosync,
    enable_irq,
    free_irq,
    request_irq,
    tasklet_disable_nosync,
    tasklet_enable,
    tasklet_kill,
    tasklet_schedule,
)
from kmock.linux.irq_work import (
    init_irq_work,
    irq_work,
    irq_work_is_busy,
    irq_work_is_pending,
    irq_work_queue_on,
    irq_work_sync,
)
from kmock.linux.kernel import might_sleep_if
from kmock.linux.kthread import (
    kthread_bind,
    kthread_create,
    kthread_create_on_cpu,
    kthread_create_on_node,
    kthread_park,
    kthread_parkme,
    kthread_run,
    kthread_should_park,
    kthread_should_stop,
    kthread_stop,
    kthread_unpark,
)
from kmock.linux.module import __module_get, module_put, module_refcount
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.linux.rcupdate import (
    rcu_access_pointer,
    rcu_assign_pointer,
    rcu_dereference_protected,
    synchronize_rcu_expedited,
    synchronize_sched,
)
from kmock.linux.sched import (
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    current,
    schedule,
    task_pid_nr,
    wake_up_process,
    wake_up_state,
)
from kmock.linux.sched.signal import (
    SIGTERM,
    allow_signal,
    fatal_signal_pending,
    flush_signals,
    send_sig,
    signal_pending,
)
from kmock.linux.smp import num_online_cpus, raw_smp_processor_id
from kmock.linux.workqueue import (
    INIT_DEFERRABLE_WORK,
    INIT_DELAYED_WORK,
    INIT_WORK,
    INIT_WORK_ONSTACK,
    cancel_delayed_work,
    cancel_work,
    current_work,
    delayed_work,
    destroy_work_on_stack,
    destroy_workqueue,
    flush_scheduled_work,
    flush_work,
    flush_workqueue,
    mod_delayed_work_on,
    queue_delayed_work_on,
    queue_work,
    queue_work_on,
    schedule_delayed_work_on,
    schedule_work,
    system_wq,
    work_busy,
    work_struct,
)

ERESTARTSYS = 512
LINE = 5


def in_threads(*bodies):
    """Run each body in a thread of its own; return the threads and the list that results come to."""
    results = []
    threads = [kthread_run(lambda body: results.append(body()), body, f"body/{n}") for n, body in enumerate(bodies)]
    return threads, results


# -- wait queues ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sleep", "wake"),
    [
        ("sleep_on", "wake_up"),
        ("interruptible_sleep_on", "wake_up_interruptible"),
        ("interruptible_sleep_on", "wake_up_interruptible_all"),
        ("interruptible_sleep_on", "wake_up_interruptible_sync"),
    ],
)
def test_the_old_sleep_lasts_until_it_is_woken(kernel, sleep, wake):
    queue = wait.DECLARE_WAIT_QUEUE_HEAD("queue")
    _, results = in_threads(lambda: getattr(wait, sleep)(queue))
    kernel.run()
    assert (results, wait.wq_has_sleeper(queue)) == ([], True)
    getattr(wait, wake)(queue)
    kernel.run()
    assert (results, wait.wq_has_sleeper(queue)) == ([None], False)


def test_the_old_sleep_with_a_timeout(kernel):
    queue = wait.DECLARE_WAIT_QUEUE_HEAD("queue")
    assert wait.sleep_on_timeout(queue, 5) == 0
    assert wait.interruptible_sleep_on_timeout(queue, 5) == 0


def test_entries_made_by_hand(kernel):
    queue, called = wait.DECLARE_WAIT_QUEUE_HEAD("queue"), []

    def woken(entry, *_):
        called.append(entry)
        return 0

    by_function, for_task = wait.wait_queue_entry(), wait.DECLARE_WAITQUEUE("for_task", current)
    wait.init_waitqueue_func_entry(by_function, woken)
    wait.init_waitqueue_entry(for_task, current)
    wait.add_wait_queue(queue, by_function)
    wait.add_wait_queue_exclusive(queue, for_task)
    wait.wake_up_interruptible_nr(queue, 1)
    assert called == [by_function]
    wait.remove_wait_queue(queue, by_function)
    wait.remove_wait_queue(queue, for_task)
    assert not wait.wq_has_sleeper(queue)


def test_only_a_deadly_signal_ends_a_killable_event(kernel):
    queue = wait.DECLARE_WAIT_QUEUE_HEAD("queue")
    done = DECLARE_COMPLETION("done")
    threads, results = in_threads(
        lambda: wait.wait_event_killable(queue, lambda: False),
        lambda: wait_for_completion_killable(done),
        lambda: wait_for_completion_killable_timeout(done, 1000),
    )
    for signal, ended in ((SIGTERM, []), (SIGKILL, [-ERESTARTSYS] * 3)):
        for thread in threads:
            send_sig(signal, thread, 1)
        kernel.advance(0.1)
        assert results == ended


def test_a_completion_in_time_and_a_signal_before(kernel):
    done = DECLARE_COMPLETION("done")
    complete(done)
    assert wait_for_completion_interruptible_timeout(done, 100) == 100
    assert wait_for_completion_interruptible_timeout(done, 100) == 0
    threads, results = in_threads(lambda: wait_for_completion_interruptible_timeout(done, 100_000))
    kernel.advance(0.1)
    send_sig(SIGTERM, threads[0], 1)
    kernel.run()
    assert results == [-ERESTARTSYS]


# -- tasks ------------------------------------------------------------------------------------------------------------------


def test_a_pending_signal_keeps_schedule_from_sleeping(kernel):
    def body():
        allow_signal(SIGTERM)
        sched.set_current_state(TASK_INTERRUPTIBLE)
        schedule()
        return signal_pending(current), fatal_signal_pending(current), sched.get_current_state()

    threads, results = in_threads(body)
    send_sig(SIGTERM, threads[0], 1)
    kernel.run()
    assert results == [(1, 0, TASK_RUNNING)]
    flush_signals(threads[0])
    assert not signal_pending(threads[0])


@pytest.mark.parametrize("name", ["schedule_timeout_interruptible", "schedule_timeout_killable"])
def test_a_timeout_that_a_signal_may_end(kernel, name):
    begin = kernel.clock.jiffies
    assert getattr(sched, name)(10) == 0
    assert kernel.clock.jiffies - begin >= 10


def test_a_task_is_woken_from_the_states_that_are_asked_for(kernel):
    def body():
        sched.__set_current_state(TASK_INTERRUPTIBLE)
        sched.io_schedule()
        return "woken"

    threads, results = in_threads(body)
    kernel.run()
    assert wake_up_state(threads[0], sched.TASK_UNINTERRUPTIBLE) == 0
    assert wake_up_state(threads[0], TASK_INTERRUPTIBLE) == 1
    sched.yield_()
    kernel.run()
    assert results == ["woken"]


def test_who_runs(kernel):
    assert sched.get_current().pid == current.pid == task_pid_nr(current)
    assert sched.need_resched() in {0, 1}
    assert num_online_cpus() == len(kernel.cpus)


def test_might_sleep_if_depends_on_its_condition(kernel):
    preempt_disable()
    might_sleep_if(False)
    with kernel.expect("sleep-in-atomic"):
        might_sleep_if(True)
    preempt_enable()


def test_a_thread_is_bound_to_its_processor(kernel):
    cpus = []

    def body(_):
        cpus.append(raw_smp_processor_id())

    bound = kthread_create(body, None, "bound")
    kthread_bind(bound, 1)
    for thread in (
        bound,
        kthread_create_on_cpu(body, None, 1, "made/%u"),
        kthread_create_on_node(body, None, 0, "node/%d", 0),
    ):
        wake_up_process(thread)
    kernel.run()
    assert cpus[:2] == [1, 1]
    assert len(cpus) == 3


def test_parking(kernel):
    rounds = []

    def body(_):
        while not kthread_should_stop():
            if kthread_should_park():
                kthread_parkme()
            rounds.append(kernel.clock.jiffies)
            sched.schedule_timeout_interruptible(1)

    thread = kthread_run(body, None, "parker")
    kernel.advance(0.1)
    assert kthread_park(thread) == 0
    before = len(rounds)
    kernel.advance(0.1)
    assert len(rounds) == before
    assert kthread_park(thread) == -EBUSY
    kthread_unpark(thread)
    kernel.advance(0.1)
    assert len(rounds) > before
    assert kthread_stop(thread) == 0
    assert kthread_park(thread) == -ENOSYS


# -- interrupts and deferred work ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("disable", [disable_irq_nosync, disable_hardirq], ids=lambda disable: disable.__name__)
def test_a_line_that_is_disabled_without_waiting(kernel, disable):
    handled = []

    def handler(irq, dev_id):
        handled.append(irq)
        return IRQ_HANDLED

    request_irq(LINE, handler, 0, "line", handled)
    disable(LINE)
    kernel.raise_irq(LINE)
    assert handled == []
    enable_irq(LINE)
    assert handled == [LINE]
    synchronize_irq(LINE)
    assert synchronize_hardirq(LINE)
    free_irq(LINE, handled)


def test_a_tasklet_that_is_disabled_without_waiting(kernel):
    ran = []
    tasklet = DECLARE_TASKLET("tasklet", ran.append)
    tasklet_disable_nosync(tasklet)
    tasklet_schedule(tasklet)
    kernel.run()
    assert ran == []
    tasklet_enable(tasklet)
    kernel.run()
    assert ran == [tasklet]
    tasklet_kill(tasklet)


def test_irq_work_on_another_processor(kernel):
    ran = []
    work = irq_work()
    init_irq_work(work, lambda w: ran.append((raw_smp_processor_id(), irq_work_is_pending(w), irq_work_is_busy(w))))
    assert irq_work_queue_on(work, 1)
    irq_work_sync(work)
    assert ran == [(1, False, True)]
    assert not irq_work_is_busy(work)


@pytest.mark.parametrize("make", ["create_workqueue", "create_singlethread_workqueue", "create_freezable_workqueue"])
def test_old_queues_run_what_is_queued(kernel, make):
    ran = []
    queue = getattr(workqueue, make)("old")
    work = work_struct()
    INIT_WORK(work, lambda w: ran.append((current_work() is w, work_busy(w) & workqueue.WORK_BUSY_RUNNING)))
    queue_work(queue, work)
    assert work_busy(work) == workqueue.WORK_BUSY_PENDING
    flush_workqueue(queue)
    assert ran == [(True, workqueue.WORK_BUSY_RUNNING)]
    assert (current_work(), work_busy(work)) == (None, 0)
    destroy_workqueue(queue)


def test_work_for_a_processor(kernel):
    cpus = []
    work, slow = work_struct(), delayed_work()
    INIT_WORK(work, lambda w: cpus.append(raw_smp_processor_id()))
    INIT_DEFERRABLE_WORK(slow, lambda w: cpus.append(raw_smp_processor_id()))
    assert queue_work_on(1, system_wq, work)
    flush_scheduled_work()
    for queue in (
        lambda: queue_delayed_work_on(1, system_wq, slow, 5),
        lambda: schedule_delayed_work_on(1, slow, 5),
    ):
        assert queue()
        assert mod_delayed_work_on(1, system_wq, slow, 1)
        kernel.advance(0.1)
    assert cpus == [1, 1, 1]


def test_work_that_is_taken_back_without_waiting(kernel):
    ran = []
    work, slow = work_struct(), delayed_work()
    INIT_WORK(work, ran.append)
    INIT_DELAYED_WORK(slow, ran.append)
    schedule_work(work)
    queue_delayed_work_on(0, system_wq, slow, 10)
    assert (cancel_work(work), cancel_delayed_work(slow)) == (True, True)
    assert (cancel_work(work), cancel_delayed_work(slow)) == (False, False)
    kernel.advance(1)
    assert ran == []


def test_work_on_the_stack(kernel):
    ran = []
    work = work_struct()
    INIT_WORK_ONSTACK(work, ran.append)
    schedule_work(work)
    flush_work(work)
    destroy_work_on_stack(work)
    assert ran == [work]


# -- RCU and modules ----------------------------------------------------------------------------------------------------------


def test_grace_periods_in_a_hurry_and_of_the_old_flavour(kernel):
    synchronize_rcu_expedited()
    synchronize_sched()
    assert kernel.reports == []


def test_pointers_of_an_updater(kernel):
    root = SimpleNamespace(config=None)
    rcu_assign_pointer(root, "config", 5)
    assert (rcu_access_pointer(root.config), rcu_dereference_protected(root.config, True)) == (5, 5)


def test_references_to_a_module(kernel):
    module = kernel.insmod("sample_drivers.scull")
    __module_get(module)
    assert module_refcount(module) == 1
    module_put(module)
    assert module_refcount(module) == 0
    kernel.rmmod(module)
