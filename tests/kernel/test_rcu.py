"""RCU: readers, grace periods, callbacks."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.delay import msleep
from kmock.linux.kthread import kthread_run
from kmock.linux.preempt import in_serving_softirq, preempt_disable, preempt_enable
from kmock.linux.rcupdate import (
    call_rcu,
    kfree_rcu,
    rcu_barrier,
    rcu_dereference,
    rcu_head,
    rcu_read_lock,
    rcu_read_lock_bh,
    rcu_read_unlock,
    rcu_read_unlock_bh,
    synchronize_rcu,
)
from kmock.linux.slab import GFP_KERNEL, kmalloc


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def test_a_callback_comes_after_the_readers_there_are(k):
    log = []
    rcu_read_lock()
    call_rcu(rcu_head(), lambda head: log.append(in_serving_softirq()))
    k.advance(1)
    assert log == []
    rcu_read_unlock()
    k.advance(1)
    assert log == [0x100]


def test_a_reader_that_comes_later_does_not_count(k):
    log = []
    call_rcu(rcu_head(), lambda head: log.append(1))
    rcu_read_lock()
    k.advance(1)
    assert log == [1]
    rcu_read_unlock()


def test_readers_on_another_cpu_count(k):
    log = []
    with k.on_cpu(1):
        rcu_read_lock()
    call_rcu(rcu_head(), lambda head: log.append(1))
    k.advance(1)
    with k.on_cpu(1):
        rcu_read_unlock()
        assert log == []
        rcu_read_lock_bh()
        rcu_read_unlock_bh()
    k.advance(1)
    assert log == [1]


def test_a_cpu_with_preemption_off_counts(k):
    log = []
    with k.on_cpu(1):
        preempt_disable()
    call_rcu(rcu_head(), lambda head: log.append(1))
    k.advance(1)
    assert log == []
    with k.on_cpu(1):
        preempt_enable()
    k.advance(1)
    assert log == [1]


def test_synchronize_waits_for_a_reader_that_was_switched_out(k):
    log = []

    def reader(data):
        rcu_read_lock()
        with k.expect("rcu-sleep-in-reader"):
            msleep(50)
        log.append("read")
        rcu_read_unlock()
        return 0

    kthread_run(reader, None, "reader")
    msleep(1)
    synchronize_rcu()
    log.append("synchronized")
    assert log == ["read", "synchronized"]


def test_barrier_waits_for_callbacks_in_order(k):
    log = []
    heads = [rcu_head(), rcu_head()]
    for n, head in enumerate(heads):
        call_rcu(head, lambda head, n=n: log.append(n))
    rcu_barrier()
    assert log == [0, 1]


def test_a_callback_comes_with_time(k):
    log = []
    call_rcu(rcu_head(), lambda head: log.append(1))
    k.advance(0.1)
    assert log == [1]


def test_kfree_rcu_frees_later(k):
    p = kmalloc(16, GFP_KERNEL)
    kfree_rcu(p)
    p[0:2] = b"ok"
    k.advance(6)
    with k.expect("slab-use-after-free-read"):
        p[0]


def test_dereference_outside_a_reader(k):
    shared = object()
    rcu_read_lock()
    assert rcu_dereference(shared) is shared
    rcu_read_unlock()
    with k.expect("rcu-deref-outside"):
        rcu_dereference(shared)
