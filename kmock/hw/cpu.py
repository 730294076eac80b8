"""A processor: what it runs, and which of its interruptions are off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmock.kernel.task import Task


# The fields of preempt_count (include/linux/preempt.h).
PREEMPT_OFFSET = 0x1
SOFTIRQ_OFFSET = 0x100
SOFTIRQ_DISABLE_OFFSET = 0x200
HARDIRQ_OFFSET = 0x10000
NMI_OFFSET = 0x100000
PREEMPT_MASK = 0xFF
SOFTIRQ_MASK = 0xFF00
HARDIRQ_MASK = 0xF0000
NMI_MASK = 0xF00000


class Cpu:
    """One processor. ``preempt_count`` has the layout of ``include/linux/preempt.h``."""

    __slots__ = (
        "id",
        "irq_waiting",
        "irqs_off",
        "node",
        "own",
        "preempt_count",
        "section",
        "sections",
        "softirq_pending",
        "task",
    )

    def __init__(self, id: int, node: int, task: Task) -> None:
        self.id = id
        self.node = node
        self.task = task
        self.own = task
        """The task that stands for the test's code on this processor."""
        self.preempt_count = 0
        self.irqs_off = False
        self.irq_waiting = False
        """Whether an interrupt was raised while they were off."""
        self.softirq_pending = 0
        """Bit ``n`` is set while softirq ``n`` is raised (``local_softirq_pending()``)."""
        self.section = 0
        """Serial number of the atomic section: two reports from one section share a cause."""
        self.sections = 0
        """Atomic sections begun so far, nested ones of interrupts included."""
