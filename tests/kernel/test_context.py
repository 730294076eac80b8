"""Contexts, their balance, and the contracts of calls."""

from __future__ import annotations

import pytest

import kmock
from kmock.kernel import balance
from kmock.linux.bottom_half import local_bh_disable, local_bh_enable
from kmock.linux.irqflags import irqs_disabled, local_irq_disable, local_irq_enable
from kmock.linux.kernel import might_sleep, non_block_end, non_block_start
from kmock.linux.kthread import kthread_run
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_trylock, mutex_unlock
from kmock.linux.preempt import (
    in_hardirq,
    in_nmi,
    in_serving_softirq,
    in_task,
    preempt_count,
    preempt_disable,
    preempt_enable,
)
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kmock.linux.sched import TASK_INTERRUPTIBLE, TASK_RUNNING, current, set_current_state
from kmock.linux.slab import GFP_ATOMIC, GFP_KERNEL, kfree, kmalloc, kmalloc_array, kvfree
from kmock.linux.smp import get_cpu, put_cpu, smp_processor_id
from kmock.linux.spinlock import (
    DEFINE_RAW_SPINLOCK,
    DEFINE_SPINLOCK,
    raw_spin_lock_irqsave,
    raw_spin_unlock_irqrestore,
    spin_lock,
    spin_unlock,
)


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


def kinds_of(k):
    return [r.kind for r in k.reports]


def test_contexts_nest_and_end(k):
    with k.softirq():
        assert in_serving_softirq()
        with k.hardirq():
            assert in_hardirq()
            assert irqs_disabled()
            with k.nmi():
                assert in_nmi()
        assert not irqs_disabled()
        assert preempt_count() == 0x100
    assert in_task()


def test_a_context_ends_when_its_block_raises(k):
    with pytest.raises(ZeroDivisionError), k.hardirq():
        1 / 0
    assert preempt_count() == 0
    assert not irqs_disabled()


def test_another_cpu_has_a_process_context_of_its_own(k):
    lock, mutex = DEFINE_SPINLOCK("lock"), DEFINE_MUTEX("mutex")
    spin_lock(lock)
    with k.hardirq(), k.on_cpu(1):
        assert preempt_count() == 0
        assert not irqs_disabled()
        assert get_cpu() == 1
        put_cpu()
        mutex_lock(mutex)
        mutex_unlock(mutex)
    spin_unlock(lock)


def test_one_section_is_one_mistake_and_the_next_another(k):
    mutex = DEFINE_MUTEX("mutex")
    preempt_disable()
    with k.expect("lock-sleeping-in-atomic") as found:
        mutex_lock(mutex)
        mutex_unlock(mutex)
    might_sleep()
    kfree(kmalloc(8, GFP_KERNEL))
    preempt_enable()
    assert len(found[0].followed_by) == 2
    assert len(k.reports) == 1
    preempt_disable()
    with k.expect("sleep-in-atomic"):
        might_sleep()
    preempt_enable()
    assert len(k.reports) == 2


def test_the_section_goes_on_behind_an_interrupt(k):
    preempt_disable()
    with k.expect("sleep-in-atomic"):
        might_sleep()
    with k.hardirq(), k.expect("sleep-in-atomic"):
        might_sleep()
    might_sleep()
    preempt_enable()
    assert len(k.reports) == 2


@pytest.mark.parametrize(
    ("enter", "leave", "kind"),
    [
        (local_irq_disable, local_irq_enable, "alloc-gfp-kernel-irqs-off"),
        (rcu_read_lock, rcu_read_unlock, "alloc-gfp-kernel-in-rcu-read"),
        (local_bh_disable, local_bh_enable, "sleep-in-atomic"),
        (non_block_start, non_block_end, "sleep-in-atomic"),
    ],
)
def test_an_allocation_is_named_by_its_context(k, enter, leave, kind):
    enter()
    with k.expect(kind) as found:
        kfree(kmalloc(8, GFP_KERNEL))
    kfree(kmalloc(8, GFP_ATOMIC))
    leave()
    assert found[0].kind == kind
    assert found[0].is_a("sleep-in-atomic")


def test_detectors_can_be_off():
    mutex = DEFINE_MUTEX("mutex")
    with kmock.boot(atomic_sleep=False, contracts=False, lockdep=False) as k:
        preempt_disable()
        might_sleep()
        kfree(kmalloc(8, GFP_KERNEL))
        preempt_enable()
        with k.hardirq():
            mutex_trylock(mutex)
            mutex_unlock(mutex)
    assert k.reports == []


def test_without_preemption_the_driver_sees_no_count():
    with kmock.boot(preempt=False):
        preempt_disable()
        assert preempt_count() == 0
        preempt_enable()
        rcu_read_lock()
        assert current().rcu_depth == 0
        rcu_read_unlock()


def test_blocking_with_the_state_set(k):
    set_current_state(TASK_INTERRUPTIBLE)
    with k.expect("blocking-op-not-running") as found:
        kfree(kmalloc(8, GFP_KERNEL))
    assert found[0].headline.startswith("do not call blocking ops when !TASK_RUNNING; state=1 set at")
    set_current_state(TASK_RUNNING)
    kfree(kmalloc(8, GFP_KERNEL))


# -- contracts --------------------------------------------------------------------------------------------------


def test_a_call_that_would_sleep_another_time(k):
    p = kmalloc(8, GFP_KERNEL)
    preempt_disable()
    with k.expect("sleep-conditionally-in-atomic"):
        kvfree(p)
    preempt_enable()
    p = kmalloc(8, GFP_KERNEL)
    with k.hardirq():
        kvfree(p)


def test_a_call_of_another_kernel():
    with kmock.boot(version="2.6.10") as k:
        kfree(kmalloc(8, GFP_KERNEL))
        with k.expect("api-version") as found:
            kfree(kmalloc_array(2, 4, GFP_KERNEL))
        assert "kmalloc_array() of <linux/slab.h> appeared in" in found[0].lines[0]


# -- balance ----------------------------------------------------------------------------------------------------


def test_what_is_left_at_the_end_is_reported_once():
    with kmock.boot() as k:
        spin_lock(DEFINE_SPINLOCK("lock"))
    assert kinds_of(k) == ["lock-held-at-exit"]
    with kmock.boot() as k:
        preempt_disable()
    assert kinds_of(k) == ["preempt-imbalance"]
    with kmock.boot() as k:
        local_bh_disable()
    assert kinds_of(k) == ["bh-imbalance"]
    with kmock.boot() as k:
        local_irq_disable()
    assert kinds_of(k) == ["irqs-left-disabled"]
    with kmock.boot() as k:
        rcu_read_lock()
    assert kinds_of(k) == ["rcu-unbalanced"]


def test_what_a_fixture_holds_is_not_charged_to_the_call():
    lock = DEFINE_SPINLOCK("lock")
    with kmock.boot() as k:
        k.phase = "setup"
        spin_lock(lock)
        k.phase = "call"
        k.balance.begin_call()
        k.balance.end_call()
        assert k.reports == []
        spin_unlock(lock)
    assert k.reports == []


def test_a_syscall_is_put_right_when_it_returns(k):
    local_irq_disable()
    with k.expect("irqs-left-disabled") as found:
        balance.check_syscall_exit(k, 16)
    assert found[0].headline == "syscall 16 left IRQs disabled"
    assert not irqs_disabled()
    preempt_disable()
    with k.expect("preempt-imbalance"):
        balance.check_syscall_exit(k, 16)
    assert preempt_count() == 0


def test_a_thread_that_ends_with_a_lock(k):
    lock = DEFINE_MUTEX("lock")
    with k.expect("lock-held-at-exit") as found:
        kthread_run(lambda data: mutex_lock(lock), None, "t")
        k.run()
    assert "t/" in found[0].headline


def test_smp_processor_id_on_a_uniprocessor():
    with kmock.boot(cpus=1) as k:
        assert smp_processor_id() == 0
    assert k.reports == []


def test_a_raw_spinlock_is_fine_in_an_nmi(kernel):
    lock = DEFINE_RAW_SPINLOCK("lock")
    with kernel.nmi():
        flags = raw_spin_lock_irqsave(lock)
        raw_spin_unlock_irqrestore(lock, flags)
    assert not kernel.reports
