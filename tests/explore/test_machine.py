"""Drivers' parts on processors that go on by themselves: system calls, per-CPU memory, deferred work."""

from __future__ import annotations

import pytest

from kmock.explore.search import explore
from kmock.linux.compiler import READ_ONCE
from kmock.linux.completion import complete, completion, init_completion, wait_for_completion
from kmock.linux.hrtimer import (
    CLOCK_MONOTONIC,
    HRTIMER_MODE_REL,
    HRTIMER_NORESTART,
    hrtimer,
    hrtimer_cancel,
    hrtimer_init,
    hrtimer_start,
)
from kmock.linux.interrupt import (
    IRQ_HANDLED,
    IRQ_WAKE_THREAD,
    free_irq,
    request_irq,
    request_threaded_irq,
    tasklet_kill,
    tasklet_schedule,
    tasklet_setup,
    tasklet_struct,
)
from kmock.linux.io import ioremap, iounmap, writel
from kmock.linux.irq_work import init_irq_work, irq_work, irq_work_queue, irq_work_sync
from kmock.linux.jiffies import jiffies
from kmock.linux.kthread import kthread_run, kthread_should_stop, kthread_stop
from kmock.linux.list import INIT_LIST_HEAD, list_add, list_del, list_for_each_entry, list_head
from kmock.linux.percpu import alloc_percpu, free_percpu, per_cpu_ptr, this_cpu_inc
from kmock.linux.rcupdate import call_rcu, rcu_assign_pointer, rcu_dereference, rcu_head, rcu_read_lock, rcu_read_unlock
from kmock.linux.sched import cond_resched
from kmock.linux.semaphore import down, sema_init, semaphore, up
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.string import memcpy
from kmock.linux.timer import del_timer_sync, mod_timer, timer_list, timer_setup
from kmock.linux.types import Ptr, Struct, u32, u64
from kmock.linux.workqueue import INIT_WORK, flush_work, schedule_work, work_struct


class Dev(Struct):
    lock: spinlock_t
    gate: semaphore
    n: u32
    done: completion
    tasklet: tasklet_struct
    hr: hrtimer
    timer: timer_list
    work: work_struct
    irq_work: irq_work
    head: list_head
    config: Ptr


def dev():
    return Dev.at(kzalloc(1024, GFP_KERNEL))


def silent(program, **plan):
    for strategy in ("pct", "random", "exhaustive"):
        result = explore(program, strategy=strategy, runs=40, **plan)
        assert result.failed is None, (result.failed.failure, result.failed.story, result.failed.reports)


def fires(program, kind, **plan):
    result = explore(program, **plan)
    assert result.failed is not None
    assert kind in result.failed.failure
    return next(report for report in result.failed.reports if report.kind == kind)


def test_system_calls_of_two_processes():
    def program(k):
        module = k.insmod("sample_drivers.scull")
        writers = [k.user(), k.user()]
        files = [p.open("/dev/scull0") for p in writers]
        for cpu, (p, fd) in enumerate(zip(writers, files, strict=True)):
            k.spawn(p.write, fd, b"xy"[cpu : cpu + 1] * 100, cpu=cpu)
        k.join()
        writers[0].lseek(files[0], 0)
        assert writers[0].read(files[0], 100) in (b"x" * 100, b"y" * 100)
        for p in writers:
            p.exit()
        k.rmmod(module)

    # Loading a module takes far longer than the rest of it.
    assert explore(program, strategy="random", runs=12).failed is None


@pytest.mark.parametrize("marked", [False, True])
def test_another_processors_copy_of_a_per_cpu_variable(marked):
    def program(k):
        counter = alloc_percpu(u64)

        def total():
            copy = per_cpu_ptr(counter, 0)
            return READ_ONCE(copy.value) if marked else copy.value

        k.spawn(this_cpu_inc, counter, cpu=0)
        k.spawn(total, cpu=1)
        k.join()
        free_percpu(counter)

    if marked:
        silent(program)
    else:
        assert fires(program, "data-race").headline.startswith("BUG: KCSAN: data-race in ")


def test_a_threaded_handler_completes_what_a_task_waits_for():
    def program(k):
        d = dev()
        init_completion(d.done)

        def thread(irq, dev_id):
            d.n += 1
            complete(d.done)
            return IRQ_HANDLED

        def waiter():
            wait_for_completion(d.done)
            assert d.n == 1

        assert request_threaded_irq(7, lambda irq, dev_id: IRQ_WAKE_THREAD, thread, 0, "dev", d) == 0
        k.spawn(waiter, cpu=0)
        k.spawn(k.raise_irq, 7, cpu=1)
        k.join()
        free_irq(7, d)
        kfree(d)

    silent(program)


def removal(arm, cancel):
    """Return a program in which an interrupt arms something and a task takes the interrupt and it away."""

    def program(k):
        d = dev()
        arm_it = arm(d)

        def handler(irq, dev_id):
            arm_it()
            return IRQ_HANDLED

        def remove():
            free_irq(7, d)
            cancel(d)
            kfree(d)

        assert request_irq(7, handler, 0, "dev", d) == 0
        k.spawn(remove, cpu=0)
        k.spawn(k.raise_irq, 7, cpu=1)
        k.join()

    return program


def count(d):
    d.n += 1


def with_tasklet(d):
    tasklet_setup(d.tasklet, lambda t: count(d))
    return lambda: tasklet_schedule(d.tasklet)


def with_hrtimer(d):
    hrtimer_init(d.hr, CLOCK_MONOTONIC, HRTIMER_MODE_REL)
    d.hr.function = lambda t: (count(d), HRTIMER_NORESTART)[1]
    return lambda: hrtimer_start(d.hr, 1_000_000, HRTIMER_MODE_REL)


def with_timer(d):
    timer_setup(d.timer, lambda t: count(d), 0)
    return lambda: mod_timer(d.timer, jiffies() + 1)


def with_work(d):
    INIT_WORK(d.work, lambda work: count(d))
    return lambda: schedule_work(d.work)


def with_irq_work(d):
    init_irq_work(d.irq_work, lambda work: count(d))
    return lambda: irq_work_queue(d.irq_work)


@pytest.mark.parametrize(
    ("arm", "cancel"),
    [
        (with_tasklet, lambda d: tasklet_kill(d.tasklet)),
        (with_hrtimer, lambda d: hrtimer_cancel(d.hr)),
        (with_timer, lambda d: del_timer_sync(d.timer)),
        (with_work, lambda d: flush_work(d.work)),
        (with_irq_work, lambda d: irq_work_sync(d.irq_work)),
    ],
)
def test_who_waits_for_deferred_work_comes_behind_it(arm, cancel):
    silent(removal(arm, cancel))


@pytest.mark.parametrize("arm", [with_tasklet, with_hrtimer, with_timer, with_work, with_irq_work])
def test_who_does_not_wait_is_found(arm):
    assert explore(removal(arm, lambda d: None)).failed is not None


def test_a_semaphore_orders():
    def program(k):
        d = dev()
        sema_init(d.gate, 1)

        def task():
            down(d.gate)
            d.n += 1
            up(d.gate)

        k.spawn(task, cpu=0)
        k.spawn(task, cpu=1)
        k.join()
        assert d.n == 2
        kfree(d)

    silent(program)


def test_a_thread_and_who_stops_it():
    def program(k):
        d = dev()

        def thread(data):
            while not kthread_should_stop():
                d.n += 1
                cond_resched()
            return 0

        task = kthread_run(thread, None, "worker")
        kthread_stop(task)
        assert d.n >= 0
        kfree(d)

    silent(program)


def test_rcu_callbacks_come_behind_readers():
    class Config(Struct):
        head: rcu_head
        speed: u32

    def program(k):
        d = dev()
        old = Config.at(kzalloc(64, GFP_KERNEL))
        rcu_assign_pointer(d, "config", old)

        def reader():
            rcu_read_lock()
            assert Config.at(rcu_dereference(d.config)).speed in (0, 2)
            rcu_read_unlock()

        def writer():
            new = Config.at(kzalloc(64, GFP_KERNEL))
            new.speed = 2
            rcu_assign_pointer(d, "config", new)
            call_rcu(old.head, lambda head: kfree(old))

        k.spawn(reader, cpu=0)
        k.spawn(writer, cpu=1)
        k.join()
        k.advance(0.1)
        kfree(d.config)
        kfree(d)

    silent(program)


@pytest.mark.parametrize("locked", [False, True])
def test_a_list_is_changed_pointer_by_pointer(locked):
    class Node(Struct):
        link: list_head

    def program(k):
        d = dev()
        spin_lock_init(d.lock)
        INIT_LIST_HEAD(d.head)
        nodes = [Node.at(kzalloc(32, GFP_KERNEL)) for _ in range(2)]

        def add(node):
            if locked:
                spin_lock(d.lock)
            list_add(node.link, d.head)
            if locked:
                spin_unlock(d.lock)

        for cpu, node in enumerate(nodes):
            k.spawn(add, node, cpu=cpu)
        k.join()
        assert len(list(list_for_each_entry(d.head, Node, "link"))) == 2
        for node in nodes:
            list_del(node.link)
            kfree(node)
        kfree(d)

    if locked:
        silent(program)
    else:
        fires(program, "data-race")


def test_a_long_copy_is_torn():
    def program(k):
        p, q = kzalloc(64, GFP_KERNEL), kzalloc(64, GFP_KERNEL)
        k.spawn(memcpy, q, p, 64, cpu=0)
        k.spawn(lambda: p.u64.__setitem__(7, 1), cpu=1, name="writer")
        k.join()
        kfree(p)
        kfree(q)

    kinds = {explore(program, strategy=s, seed=n).failed.reports[0].kind for s in ("random", "pct") for n in range(4)}
    assert kinds <= {"data-race", "atomicity-torn"}
    assert "atomicity-torn" in kinds


def test_memory_that_has_a_new_owner_does_not_race_with_the_old_one():
    def program(k):
        def task():
            p = kzalloc(64, GFP_KERNEL)
            p.u32[0] = 1
            kfree(p)

        k.spawn(task, cpu=0)
        k.spawn(task, cpu=1)
        k.join()

    silent(program, kasan=False)


class Doorbell:
    """A device that raises its interrupt when its register is written."""

    def __init__(self, k):
        self.k = k

    def read(self, offset, width):
        return 0

    def write(self, offset, width, value):
        self.k.raise_irq(7)


@pytest.mark.parametrize("early", [False, True])
def test_a_device_interrupts_the_driver_that_started_it(early):
    def program(k):
        k.mmio(0xF0000000, 4096, Doorbell(k))
        regs = ioremap(0xF0000000, 4096)
        d = dev()
        init_completion(d.done)

        def handler(irq, dev_id):
            d.n += 1
            complete(d.done)
            return IRQ_HANDLED

        def start():
            if not early:
                d.n = 1
            writel(1, regs)
            if early:
                d.n = 1
            wait_for_completion(d.done)

        assert request_irq(7, handler, 0, "dev", d) == 0
        k.spawn(start, cpu=0)
        k.join()
        n = d.n
        free_irq(7, d)
        kfree(d)
        iounmap(regs)
        assert early or n == 2

    if early:
        fires(program, "data-race")
    else:
        silent(program)
