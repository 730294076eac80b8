"""Interrupt lines."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.delay import msleep
from kmock.linux.interrupt import (
    IRQ_HANDLED,
    IRQ_NONE,
    IRQ_WAKE_THREAD,
    IRQF_ONESHOT,
    IRQF_SHARED,
    disable_irq,
    enable_irq,
    free_irq,
    irq_set_affinity,
    request_irq,
    request_threaded_irq,
)
from kmock.linux.irqflags import irqs_disabled, local_irq_enable, local_irq_restore, local_irq_save
from kmock.linux.preempt import in_hardirq, in_task
from kmock.linux.smp import raw_smp_processor_id
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel
    assert [str(r) for r in kernel.reports.unexpected] == []


@pytest.fixture
def log():
    return []


@pytest.fixture
def line(k, log):
    def handler(irq, dev):
        log.append((irq, dev, bool(in_hardirq()), irqs_disabled(), raw_smp_processor_id()))
        return IRQ_HANDLED

    assert request_irq(5, handler, 0, "dev", "cookie") == 0
    yield 5
    free_irq(5, "cookie")


def test_a_handler_runs_at_once_in_hardirq_context(k, line, log):
    k.raise_irq(line)
    assert log == [(5, "cookie", True, 1, 0)]


def test_a_handler_runs_on_the_irqs_cpu(k, line, log):
    irq_set_affinity(line, 1)
    k.raise_irq(line)
    assert log[0][4] == 1


def test_a_disabled_line_stays_pending(k, line, log):
    disable_irq(line)
    disable_irq(line)
    k.raise_irq(line)
    k.raise_irq(line)
    enable_irq(line)
    assert log == []
    enable_irq(line)
    assert len(log) == 1


def test_interrupts_that_are_off_hold_it_back(k, line, log):
    lock = DEFINE_SPINLOCK("lock")
    flags = spin_lock_irqsave(lock)
    k.raise_irq(line)
    assert log == []
    spin_unlock_irqrestore(lock, flags)
    assert len(log) == 1
    with k.hardirq():
        k.raise_irq(line)
        assert len(log) == 1
    assert len(log) == 2


def test_lines_without_a_handler_say_nothing(k):
    k.raise_irq(255)
    with pytest.raises(ValueError, match="no interrupt line 256"):
        k.raise_irq(256)


def test_what_cannot_be_requested(k, line):
    def handler(irq, dev):
        return IRQ_NONE

    assert request_irq(5, handler, 0, "other", "other") == -16
    assert "genirq: Flags mismatch irq 5. 00000000 (other) vs. 00000000 (dev)" in k.dmesg()
    assert request_irq(0, handler, 0, "x", None) == -22
    assert request_irq(6, None, 0, "x", None) == -22
    assert request_irq(6, handler, IRQF_SHARED, "x", None) == -22
    with k.expect("irq-oneshot-missing"):
        assert request_threaded_irq(6, None, handler, 0, "x", None) == -22


def test_handlers_share_a_line(k, log):
    devs = [object(), object()]
    for dev in devs:
        assert request_irq(6, lambda irq, dev: log.append(dev) or IRQ_HANDLED, IRQF_SHARED, "x", dev) == 0
    k.raise_irq(6)
    assert log == devs
    for dev in devs:
        assert free_irq(6, dev) == "x"


def test_a_thread_does_the_slow_part(k, log):
    def thread(irq, dev):
        log.append(in_task())
        msleep(1)
        return IRQ_HANDLED

    assert request_threaded_irq(7, lambda irq, dev: IRQ_WAKE_THREAD, thread, IRQF_ONESHOT, "dev", "dev") == 0
    k.raise_irq(7)
    assert log == []
    disable_irq(7)
    assert log == [1]
    enable_irq(7)
    assert free_irq(7, "dev") == "dev"


def test_a_handler_that_enables_interrupts(k, log):
    def handler(irq, dev):
        local_irq_enable()
        return IRQ_HANDLED

    request_irq(8, handler, 0, "dev", "dev")
    with k.expect("irq-handler-enables-irqs") as found:
        k.raise_irq(8)
    assert found[0].headline == "irq 8 handler handler+0x0/0x0 enabled interrupts"
    free_irq(8, "dev")


def test_a_handler_that_returns_nothing(k):
    request_irq(8, lambda irq, dev: None, 0, "dev", "dev")
    with k.expect("irq-handler-bad-return"):
        k.raise_irq(8)
    free_irq(8, "dev")


def test_a_handler_that_keeps_a_lock(k):
    lock = DEFINE_SPINLOCK("lock")

    def handler(irq, dev):
        spin_lock(lock)
        return IRQ_HANDLED

    request_irq(8, handler, 0, "dev", "dev")
    with k.expect("lock-held-at-return"):
        k.raise_irq(8)
    free_irq(8, "dev")
    flags = local_irq_save()
    spin_unlock(lock)
    local_irq_restore(flags)


def test_a_handler_that_sleeps(k):
    request_irq(8, lambda irq, dev: msleep(1) or IRQ_HANDLED, 0, "dev", "dev")
    with k.expect("irq-handler-sleeps") as found:
        k.raise_irq(8)
    assert found[0].headline.startswith("BUG: scheduling while atomic: test/")
    free_irq(8, "dev")


def test_freeing_what_is_not_there(k, line):
    with k.expect("irq-free-wrong") as found:
        free_irq(line, "another")
    assert found[0].headline == "Trying to free already-free IRQ 5"
