"""What comes before what: vector clocks over tasks and interrupts.

An event of one context comes before an event of another only if something orders them: a lock that one released and the
other took, a wake-up, the start of a thread, a barrier with the load and the store that carry it, an RCU grace period, or
that one of them turns off what the other is on the same processor. What merely happened first is not ordered.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, SupportsIndex

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmock.explore.flow import Flow
    from kmock.explore.machine import ExploredKernel
    from kmock.hw.cpu import Cpu
    from kmock.kernel.held import Held
    from kmock.kernel.task import Task

Clock = dict[int, int]
"""How far each context was, by its number."""

# What is off on a processor, as bits: preemption, bottom halves, interrupts. Who turns one off has a lock of that processor.
_PREEMPT, _BH, _IRQ = 1, 2, 4
_ALL = _PREEMPT | _BH | _IRQ


def merge(into: Clock, other: Clock) -> None:
    """Know all that ``other`` knows."""
    for number, at in other.items():
        if into.get(number, 0) < at:
            into[number] = at


class Context:
    """A task, or the interrupts of one processor: events in an order of their own."""

    __slots__ = ("acquired", "clock", "fenced", "marking", "name", "number", "off", "releasing", "retrying")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.clock: Clock = {number: 1}
        self.off = 0
        """What it has turned off, as bits."""
        self.fenced: Clock = {}
        """What its last write barrier put before its stores to come."""
        self.acquired: Clock = {}
        """What its next read barrier puts its loads behind."""

        self.marking = 0
        """Depth of what makes marked accesses."""
        self.retrying = False
        """Whether it reads under a sequence counter, and will read again if a writer came."""
        self.releasing = 0
        """Depth of what makes stores that publish all that was done before."""

    def tick(self) -> None:
        """What comes from here on was not seen by anybody yet."""
        self.clock[self.number] += 1


class HeldLocks(list["Held"]):
    """``Task.held`` of a task whose order is watched: taking a lock puts it behind those who released it."""

    def __init__(self, order: Order, held: Iterable[Held]) -> None:
        super().__init__(held)
        self._order = order

    def append(self, held: Held) -> None:
        """The lock is taken: behind the writers, and where it is taken for writing behind the readers too."""
        super().append(held)
        if not held.is_map:
            self._order.acquire(*((held.lock, mode) for mode in (("write",) if held.read else ("write", "read"))))

    def pop(self, index: SupportsIndex = -1) -> Held:
        """The lock that was taken last is released."""
        held = super().pop(index)
        self._released(held)
        return held

    def remove(self, held: Held) -> None:
        """The lock is released."""
        super().remove(held)
        self._released(held)

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        gone = self[index]
        super().__delitem__(index)
        for held in gone if isinstance(gone, list) else [gone]:
            self._released(held)

    def _released(self, held: Held) -> None:
        # What only lockdep calls a lock keeps nobody away.
        if not held.is_map:
            self._order.release((held.lock, "read" if held.read else "write"))


class Order:
    """The order of events on one machine."""

    def __init__(self, kernel: ExploredKernel) -> None:
        self.kernel = kernel
        self._released: defaultdict[Any, Clock] = defaultdict(dict)
        """What had happened when something was last released, by what it is."""
        self._contexts = 0
        self._interrupts: dict[tuple[int, int], Context] = {}
        self._incoming: dict[int, Clock] = {}
        """What wakes a flow, by its number."""
        self._ended: Clock = {}
        self.inbound: tuple[Any, ...] = ()
        """What the next interrupt comes behind."""

    @property
    def alone(self) -> bool:
        """Whether there was never more than one context, so that nothing can race."""
        return self._contexts == 1

    @property
    def current(self) -> Context:
        """Whose events happen now."""
        return self.kernel.sched.running.contexts[-1]

    # -- contexts ---------------------------------------------------------------------------------------

    def _context(self, name: str) -> Context:
        self._contexts += 1
        return Context(self._contexts, name)

    def begin(self, flow: Flow) -> None:
        """A flow begins. An interrupt's has no context of its own until it enters one."""
        if flow.task is not None:
            flow.contexts.append(self._context(f"task {flow.task.pid}"))

    def over(self, flow: Flow) -> None:
        """It ended: whoever waits for that comes behind it."""
        if flow.task is not None:
            self.kernel.explorer.races.settle(flow.contexts[0])
            self.release(flow.task)
            merge(self._ended, flow.contexts[0].clock)

    def watch(self, task: Task) -> None:
        """Have the locks that ``task`` takes from now on order its events."""
        if task.held.__class__ is list:
            task.held = HeldLocks(self, task.held)

    def wakes(self, flow: Flow) -> None:
        """What happens now makes ``flow`` go on."""
        merge(self._incoming.setdefault(flow.number, {}), self._publish())

    def woken(self, flow: Flow) -> None:
        """The flow goes on: behind whoever made it."""
        if flow.contexts and (clock := self._incoming.pop(flow.number, None)):
            merge(flow.contexts[-1].clock, clock)

    def all_idle(self, flow: Flow) -> None:
        """The flow saw all others idle: it comes behind everything."""
        merge(flow.contexts[-1].clock, self._ended)
        flows: list[Flow] = self.kernel.sched.flows
        for context in (*(context for other in flows for context in other.contexts), *self._interrupts.values()):
            merge(flow.contexts[-1].clock, context.clock)
            context.tick()

    # -- release and acquire ----------------------------------------------------------------------------

    def _publish(self) -> Clock:
        context = self.current
        clock = dict(context.clock)
        context.tick()
        return clock

    def release(self, *keys: Any) -> None:
        """Who acquires one of ``keys`` from now on comes behind what happened until now."""
        clock = self._publish()
        for key in keys:
            merge(self._released[key], clock)

    def acquire(self, *keys: Any) -> None:
        """Come behind all who released one of ``keys``."""
        clock = self.current.clock
        for key in keys:
            if (released := self._released.get(key)) is not None:
                merge(clock, released)

    # -- barriers, and the places in memory that carry them -----------------------------------------------

    def fence(self, *, read: bool, write: bool) -> None:
        """A barrier: stores to come carry what was done, and what was loaded counts for loads to come."""
        context = self.current
        if read:
            merge(context.clock, context.acquired)
            context.acquired = {}
        if write:
            context.fenced = self._publish()

    def stored(self, places: Iterable[Any], *, marked: bool, release: bool) -> None:
        """Places were stored to: who loads them learns what the store carries, and no longer what others did."""
        context = self.current
        clock = self._publish() if release else context.fenced if marked else {}
        for place in places:
            if clock:
                self._released[place] = dict(clock)
            else:
                self._released.pop(place, None)

    def loaded(self, places: Iterable[Any], *, acquire: bool) -> None:
        """Places were loaded by a marked access."""
        context = self.current
        for place in places:
            if (released := self._released.get(place)) is not None:
                merge(context.clock if acquire else context.acquired, released)

    def carried(self, places: Iterable[Any]) -> None:
        """Atomic operations that order nothing themselves carry what the last write barrier put before them."""
        for place in places:
            merge(self._released[place], self.current.fenced)

    # -- what is off on a processor ---------------------------------------------------------------------

    def notice(self) -> None:
        """See what the running context has turned off or on since it was last looked at."""
        cpu = self.kernel.cpu
        context = self.current
        off = _off(cpu)
        if off == context.off:
            return
        turned_off, turned_on = off & ~context.off, context.off & ~off
        context.off = off
        if turned_off:
            self.acquire(*_locks(cpu, turned_off))
        if turned_on:
            self.release(*_locks(cpu, turned_on))

    # -- interrupts -------------------------------------------------------------------------------------

    def enter(self, flow: Flow, level: int) -> None:
        """An interrupt of that level begins in ``flow``."""
        cpu = self.kernel.cpu
        if flow.contexts:
            self.notice()
        context = self._interrupts.get((cpu.id, level))
        if context is None:
            context = self._interrupts[cpu.id, level] = self._context("interrupt")
        if flow.contexts and not (flow.surprised and len(flow.contexts) == 1):
            merge(context.clock, self._publish())
        flow.contexts.append(context)
        context.off = _ALL if level & (HARDIRQ_MASK | NMI_MASK) else _PREEMPT | _BH
        self.acquire(*_locks(cpu, context.off), *self.inbound)

    def leave(self, flow: Flow) -> None:
        """It ends."""
        context = flow.contexts[-1]
        self.release(*_locks(self.kernel.cpu, context.off))
        flow.contexts.pop()
        if flow.contexts and not (flow.surprised and len(flow.contexts) == 1):
            merge(flow.contexts[-1].clock, context.clock)
            context.tick()


def _locks(cpu: Cpu, off: int) -> list[tuple[int, int]]:
    """What who turned ``off`` off on a processor has, as keys."""
    return [(cpu.id, bit) for bit in (_PREEMPT, _BH, _IRQ) if bit & off]


def _off(cpu: Cpu) -> int:
    """What is off on a processor: with interrupts off, all is."""
    count = cpu.preempt_count
    if cpu.irqs_off or count & (HARDIRQ_MASK | NMI_MASK):
        return _ALL
    return (_PREEMPT | _BH if count & SOFTIRQ_MASK else 0) | (_PREEMPT if count else 0)
