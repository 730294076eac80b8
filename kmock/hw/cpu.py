"""A processor: what it runs, and which of its interruptions are off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kmock.kernel.task import Task


class Cpu:
    """One processor. ``preempt_count`` has the layout of ``include/linux/preempt.h``."""

    __slots__ = ("id", "irqs_off", "node", "preempt_count", "section", "task")

    def __init__(self, id: int, node: int, task: Task) -> None:  # noqa: A002 -- the field's name
        self.id = id
        self.node = node
        self.task = task
        self.preempt_count = 0
        self.irqs_off = False
        self.section = 0
        """Serial number of the atomic section: two reports from one section share a cause."""
