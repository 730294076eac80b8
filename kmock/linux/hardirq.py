"""``<linux/hardirq.h>``: what context this is, and waiting for interrupt handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.preempt import (
    HARDIRQ_MASK,
    HARDIRQ_OFFSET,
    NMI_MASK,
    NMI_OFFSET,
    PREEMPT_MASK,
    PREEMPT_OFFSET,
    SOFTIRQ_DISABLE_OFFSET,
    SOFTIRQ_MASK,
    SOFTIRQ_OFFSET,
    hardirq_count,
    in_atomic,
    in_hardirq,
    in_interrupt,
    in_irq,
    in_nmi,
    in_serving_softirq,
    in_softirq,
    in_task,
    migrate_disable,
    migrate_enable,
    nmi_count,
    preempt_count,
    preempt_disable,
    preempt_enable,
    preempt_enable_no_resched,
    preemptible,
    softirq_count,
)

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.5.28", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def synchronize_irq(k: Kernel, irq: int) -> None:
    """Wait until no handler of line ``irq`` runs, threads included."""
    k.irqs.synchronize(irq)


@api(since="3.19", illegal=Where.NMI)
def synchronize_hardirq(k: Kernel, irq: int) -> int:
    """Wait until no hard interrupt handler of line ``irq`` runs; whether no thread of it does either."""
    return int(not any(action.pending for action in k.irqs.actions(irq)))


__getattr__ = header_getattr(__name__)
__all__ = [
    "HARDIRQ_MASK",
    "HARDIRQ_OFFSET",
    "NMI_MASK",
    "NMI_OFFSET",
    "PREEMPT_MASK",
    "PREEMPT_OFFSET",
    "SOFTIRQ_DISABLE_OFFSET",
    "SOFTIRQ_MASK",
    "SOFTIRQ_OFFSET",
    "hardirq_count",
    "in_atomic",
    "in_hardirq",
    "in_interrupt",
    "in_irq",
    "in_nmi",
    "in_serving_softirq",
    "in_softirq",
    "in_task",
    "migrate_disable",
    "migrate_enable",
    "nmi_count",
    "preempt_count",
    "preempt_disable",
    "preempt_enable",
    "preempt_enable_no_resched",
    "preemptible",
    "softirq_count",
    "synchronize_hardirq",
    "synchronize_irq",
]
