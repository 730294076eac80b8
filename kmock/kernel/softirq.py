"""Softirqs (``kernel/softirq.c``): what interrupts leave to be done with interrupts on.

They are served when the last interrupt returns and when bottom halves are enabled again. One that is raised
outside of both is served by ``ksoftirqd``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK
from kmock.kernel import preempt
from kmock.kernel.hang import Wait
from kmock.kernel.task import PF_KTHREAD, TASK_INTERRUPTIBLE, TASK_RUNNING, Task
from kmock.kernel.time import next_tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.hw.cpu import Cpu
    from kmock.machine import Kernel

HI_SOFTIRQ = 0
TIMER_SOFTIRQ = 1
NET_TX_SOFTIRQ = 2
NET_RX_SOFTIRQ = 3
BLOCK_SOFTIRQ = 4
IRQ_POLL_SOFTIRQ = 5
TASKLET_SOFTIRQ = 6
SCHED_SOFTIRQ = 7
HRTIMER_SOFTIRQ = 8
RCU_SOFTIRQ = 9
NR_SOFTIRQS = 10
MAX_SOFTIRQ_RESTART = 10
_INTERRUPT = NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK
_IDLE_COUNT = 1  # init_idle_preempt_count()


class Softirqs:
    """The softirqs of one machine."""

    __slots__ = ("_daemons", "_handlers", "_idle", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._handlers: dict[int, Callable[[], object]] = {}
        self._idle: dict[int, Task] = {}
        self._daemons: set[int] = set()
        """Processors whose ksoftirqd has something to do."""

    def open(self, nr: int, handler: Callable[[], object]) -> None:
        """``open_softirq()``: have softirq ``nr`` served by ``handler()``."""
        self._handlers[nr] = handler

    def raise_softirq(self, nr: int) -> None:
        """``raise_softirq()`` on this processor."""
        cpu = self.kernel.cpu
        cpu.softirq_pending |= 1 << nr
        if not cpu.preempt_count & _INTERRUPT:
            self._wake_daemon(cpu)

    def leave(self) -> None:
        """``irq_exit()`` and ``local_bh_enable()``: serve what is raised, if nothing keeps softirqs off any more."""
        cpu = self.kernel.cpu
        if cpu.preempt_count & _INTERRUPT or not cpu.softirq_pending:
            return
        if cpu.irqs_off:
            self._wake_daemon(cpu)
        else:
            self._serve(cpu)

    def _serve(self, cpu: Cpu) -> None:
        """``__do_softirq()``."""
        for _ in range(MAX_SOFTIRQ_RESTART):
            pending, cpu.softirq_pending = cpu.softirq_pending, 0
            if not pending:
                return
            for nr in range(NR_SOFTIRQS):
                if pending >> nr & 1 and nr in self._handlers:
                    with preempt.serving_softirq(self.kernel):
                        self._handlers[nr]()
        if cpu.softirq_pending:
            self._wake_daemon(cpu)

    # -- ksoftirqd ----------------------------------------------------------------------------------

    def _wake_daemon(self, cpu: Cpu) -> None:
        if cpu.id in self._daemons:
            return
        self._daemons.add(cpu.id)
        k = self.kernel
        task = Task(k.new_pid(), f"ksoftirqd/{cpu.id}", PF_KTHREAD)
        task.cpu = cpu
        k.sched.add(task, lambda: self._daemon(cpu))
        k.sched.wake(task)

    def _daemon(self, cpu: Cpu) -> int:
        """``run_ksoftirqd()``: lives as long as it has something to do."""
        k = self.kernel
        while cpu.softirq_pending:
            self._serve(cpu)
            if cpu.softirq_pending:
                # Softirqs that raise themselves must not keep others from running.
                k.current.state = TASK_INTERRUPTIBLE
                k.sched.sleep_until(next_tick(k.clock.now, 1, k.clock.hz), Wait("for the next tick"))
                k.current.state = TASK_RUNNING
        self._daemons.discard(cpu.id)
        return 0

    # -- what an interrupt finds --------------------------------------------------------------------

    @contextmanager
    def interrupted(self, n: int) -> Iterator[None]:
        """Run the block as processor ``n``, on top of what it runs: the idle task, if its task waits."""
        k = self.kernel
        if k.cpu.id != n:
            with preempt.on_cpu(k, n), self.interrupted(n):
                yield
            return
        cpu = k.cpu
        task = cpu.task
        if task.state == TASK_RUNNING or cpu.preempt_count or cpu.irqs_off:
            yield
            return
        cpu.task = self._idle.setdefault(n, Task(0, f"swapper/{n}", PF_KTHREAD))
        cpu.preempt_count = _IDLE_COUNT
        try:
            yield
        finally:
            cpu.task, cpu.preempt_count, cpu.irqs_off = task, 0, False
