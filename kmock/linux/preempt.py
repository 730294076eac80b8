"""``<linux/preempt.h>``: turning preemption off, and asking what context this is.

``in_interrupt()`` and its kin are expressions in C; here they are calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.hw.cpu import (
    HARDIRQ_MASK,
    HARDIRQ_OFFSET,
    NMI_MASK,
    NMI_OFFSET,
    PREEMPT_MASK,
    PREEMPT_OFFSET,
    SOFTIRQ_DISABLE_OFFSET,
    SOFTIRQ_MASK,
    SOFTIRQ_OFFSET,
)
from kmock.kernel import preempt
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.5.4", undo="preempt_enable")
def preempt_disable(k: Kernel) -> None:
    """Keep the task on its processor, and from being preempted; calls nest."""
    preempt.preempt_disable(k)


@api(since="2.5.4")
def preempt_enable(k: Kernel) -> None:
    """Undo one ``preempt_disable()``."""
    preempt.preempt_enable(k)


@api(since="2.5.4")
def preempt_enable_no_resched(k: Kernel) -> None:
    """``preempt_enable()`` that does not give way at once."""
    preempt.preempt_enable(k)


@api(since="2.5.4")
def preempt_count(k: Kernel) -> int:
    """Depth of preemption, softirq, hard interrupt and NMI in one number."""
    return preempt.preempt_count(k)


@api(since="5.7", undo="migrate_enable")
def migrate_disable(k: Kernel) -> None:
    """Keep the task on its processor, though it may be preempted and may sleep."""
    k.current.migrate_disabled += 1


@api(since="5.7")
def migrate_enable(k: Kernel) -> None:
    """Undo one ``migrate_disable()``; one too many is reported."""
    if not k.current.migrate_disabled:
        preempt.underflow(k, "preempt-underflow")
        return
    k.current.migrate_disabled -= 1


@api(since="1.0")
def in_interrupt(k: Kernel) -> int:
    """Non-zero in NMI, hard interrupt and softirq, and with bottom halves off."""
    return preempt.in_interrupt(k)


@api(since="2.5.4", until="5.11", replaced_by="in_hardirq")
def in_irq(k: Kernel) -> int:
    """Non-zero in a hard interrupt."""
    return k.cpu.preempt_count & HARDIRQ_MASK


@api(since="5.11")
def in_hardirq(k: Kernel) -> int:
    """Non-zero in a hard interrupt."""
    return k.cpu.preempt_count & HARDIRQ_MASK


@api(since="2.3.43")
def in_softirq(k: Kernel) -> int:
    """Non-zero while a softirq is served, and with bottom halves off."""
    return k.cpu.preempt_count & SOFTIRQ_MASK


@api(since="2.6.37")
def in_serving_softirq(k: Kernel) -> int:
    """Non-zero while a softirq is served."""
    return k.cpu.preempt_count & SOFTIRQ_OFFSET


@api(since="2.6.38")
def in_nmi(k: Kernel) -> int:
    """Non-zero in an NMI."""
    return k.cpu.preempt_count & NMI_MASK


@api(since="4.12")
def in_task(k: Kernel) -> int:
    """Whether this is process context, bottom halves off or not."""
    return int(preempt.in_task(k))


@api(since="2.5.4")
def in_atomic(k: Kernel) -> int:
    """Whether preempt_count is not zero. Says nothing of interrupts being off, nor of spin locks without CONFIG_PREEMPT."""
    return int(preempt.preempt_count(k) != 0)


@api(since="2.6.0")
def preemptible(k: Kernel) -> int:
    """Whether the task may be preempted here."""
    return int(preempt.preemptible(k))


@api(since="2.5.4")
def hardirq_count(k: Kernel) -> int:
    """The hard interrupt part of ``preempt_count()``."""
    return k.cpu.preempt_count & HARDIRQ_MASK


@api(since="2.5.4")
def softirq_count(k: Kernel) -> int:
    """The softirq part of ``preempt_count()``."""
    return k.cpu.preempt_count & SOFTIRQ_MASK


@api(since="2.6.38")
def nmi_count(k: Kernel) -> int:
    """The NMI part of ``preempt_count()``."""
    return k.cpu.preempt_count & NMI_MASK


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
]
