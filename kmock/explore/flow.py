"""A flow of execution: a task, or an interrupt on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kmock.explore.order import Context
    from kmock.hw.cpu import Cpu
    from kmock.kernel.irq import Action
    from kmock.kernel.task import Task


class Flow:
    """What the explorer switches between. Each has its own stack of Python's (a greenlet) and its own order of events."""

    __slots__ = (
        "calls",
        "contexts",
        "cpu",
        "decisions",
        "done",
        "fresh",
        "greenlet",
        "handling",
        "idle",
        "idling",
        "inside",
        "name",
        "number",
        "parked",
        "polls",
        "ready",
        "saved",
        "serial",
        "surprised",
        "task",
        "unbroken",
        "yields",
    )

    def __init__(self, number: int, name: str, cpu: Cpu, task: Task | None, greenlet: Any) -> None:
        self.number = number
        self.name = name
        self.cpu = cpu
        self.task = task
        """None for an interrupt."""
        self.greenlet = greenlet
        self.contexts: list[Context] = []
        """Whose accesses it makes: the task's, and on top the interrupts' that it runs."""
        self.ready = False
        """Whether it could go on if a processor were free."""
        self.serial = 0
        """When it became ready, as an ordinal."""
        self.parked: Task | None = None
        """The task whose wake-up it waits for."""
        self.idle = False
        """Whether it only wants to go on when nobody else can."""
        self.idling = False
        """Whether it does not run, but looks after the clock while nobody does."""
        self.surprised = False
        """Whether interrupts that come now come by themselves, and not because it made them."""
        self.fresh = True
        """Whether it has done nothing yet since it began: then there is no sense in letting others go first."""
        self.done = False
        self.decisions = 0
        self.yields = False
        """Whether it gave way by itself."""
        self.saved: list[tuple[Cpu, Task, int, bool]] = []
        """Task, preempt_count and irq flag of its processor while it is switched out; the last one is where it goes on."""
        self.handling: list[Action] = []
        """Interrupt handlers that it runs, the innermost last."""
        self.calls = 0
        """Depth of kernel calls."""
        self.unbroken = 0
        """Depth of what is one instruction, or as good as that."""
        self.inside = 0
        """Depth of what must not be interrupted: kmock's own work on memory."""
        self.polls: tuple[object, int] = (None, 0)
        """What it loaded last, and how often in a row."""

    def __str__(self) -> str:
        return f"{self.name} (flow {self.number}) on CPU {self.cpu.id}"
