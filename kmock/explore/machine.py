"""A machine whose interleavings are explored: every part of it that takes steps is of the exploring kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.explore.explorer import Explorer
from kmock.explore.memory import ExploringMemory
from kmock.machine import Kernel
from kmock.subsystems import Subsystem

if TYPE_CHECKING:
    from kmock.config import KernelConfig
    from kmock.explore.sched import ExploringScheduler
    from kmock.explore.strategy import Strategy
    from kmock.kernel.contracts import Contracts
    from kmock.kernel.hrtimer import HrTimers
    from kmock.kernel.irq import Irqs
    from kmock.kernel.irq_work import IrqWorks
    from kmock.kernel.rcu import Rcu
    from kmock.kernel.tasklet import Tasklets
    from kmock.kernel.timer import Timers
    from kmock.kernel.workqueue import Workqueues


class ExploredKernel(Kernel):
    """A booted machine on which ``strategy`` chooses what runs next."""

    explorer: Explorer
    sched: Subsystem[ExploringScheduler] = Subsystem("explore.sched:ExploringScheduler")
    contracts: Subsystem[Contracts] = Subsystem("explore.calls:ExploringContracts")
    irqs: Subsystem[Irqs] = Subsystem("explore.interrupts:ExploringIrqs")
    timers: Subsystem[Timers] = Subsystem("explore.interrupts:ExploringTimers")
    hrtimers: Subsystem[HrTimers] = Subsystem("explore.interrupts:ExploringHrTimers")
    tasklets: Subsystem[Tasklets] = Subsystem("explore.interrupts:ExploringTasklets")
    irq_works: Subsystem[IrqWorks] = Subsystem("explore.interrupts:ExploringIrqWorks")
    workqueues: Subsystem[Workqueues] = Subsystem("explore.interrupts:ExploringWorkqueues")
    rcu: Subsystem[Rcu] = Subsystem("explore.interrupts:ExploringRcu")

    def __init__(self, config: KernelConfig, strategy: Strategy) -> None:
        self.vetted = False
        """Whether calls would be looked at anyway."""
        super().__init__(config)
        self.explorer = Explorer(self, strategy)
        self.mem = ExploringMemory(self)

    @property
    def vetting(self) -> bool:
        """Every call is a step."""
        return True

    @vetting.setter
    def vetting(self, value: bool) -> None:
        self.vetted = value
