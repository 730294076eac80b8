"""The explorer of one run: told of every step by the machine, it lets the strategy choose and writes down what it chose."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from kmock.explore.order import Order
from kmock.explore.races import WORD, Races
from kmock.explore.schedule import TIMER, Switch
from kmock.explore.strategy import Choice
from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK
from kmock.kernel.hang import Wait, deadlock, hang_report
from kmock.stack import HERE, capture, user_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from kmock.explore.flow import Flow
    from kmock.explore.machine import ExploredKernel
    from kmock.explore.races import Access
    from kmock.explore.strategy import Strategy
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

POLLS = 400
"""How often one place may load the same bytes in a row before that counts as a busy loop."""

# kmock's code through which a driver's own accesses go; what lies deeper is kmock's own business.
_WAYS = tuple(
    HERE + way
    for way in (
        "lang/",
        "explore/",
        "dma/watch.py",
        "mm/access.py",
        "mm/percpu_var.py",
        "mm/uaccess.py",
        "mm/util.py",
        "kernel/bitops.py",
        "kernel/list.py",
        "kernel/contracts.py",
        "sanitizers/string_checks.py",
        "linux/_api.py",
        "linux/barrier.py",
        "linux/bitmap.py",
        "linux/bitops.py",
        "linux/compiler.py",
        "linux/list.py",
        "linux/percpu_defs.py",
        "linux/rculist.py",
        "linux/rcupdate.py",
        "linux/string.py",
        "linux/uaccess.py",
    )
)

# A test may start a kernel function as a task of its own; what that does is the driver's doing.
_SPAWN = HERE + "kernel/spawn.py"
_RCU_LISTS = HERE + "linux/rculist.py"
# Calls that say of what kind the load was that comes right before them.
_JUDGES = ("rcu_dereference", "rcu_access", "srcu_dereference")


class Way(NamedTuple):
    """How the driver comes to access memory."""

    frame: FrameType
    rcu: bool
    """Whether it goes through a list that is made for RCU, where every step is ordered."""


def _is_drivers(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return not file.startswith(HERE) or file == _SPAWN


class Explorer:
    """What a machine whose interleavings are explored has in ``kernel.explorer``."""

    def __init__(self, kernel: ExploredKernel, strategy: Strategy) -> None:
        self.kernel = kernel
        self.strategy = strategy
        self.order = Order(kernel)
        self.races = Races(kernel)
        self.switches: list[Switch] = []
        """Where the run left its natural course."""
        self._places: list[tuple[str, Stack, str]] = []
        """For each switch who ran, where, and who followed."""
        self.decisions = 0
        self.told: set[object] = set()
        """Busy loops that were reported."""

    # -- decisions --------------------------------------------------------------------------------------

    def decide(self, flow: Flow, options: list[str], *, preempts: bool = False, yields: bool = False) -> int:
        """Let the strategy choose one of ``options`` on behalf of ``flow``; write it down unless it is the first."""
        flow.decisions += 1
        if len(options) == 1:
            return 0
        self.decisions += 1
        chosen = self.strategy.choose(Choice(flow.number, flow.decisions, options, preempts, yields))
        if chosen:
            self.switches.append(Switch(flow.number, flow.decisions, options[chosen]))
            self._places.append((str(flow), capture(1, 30) if preempts else (), self._follower(options[chosen])))
        return chosen

    def _follower(self, to: str) -> str:
        if to == TIMER:
            return "a timer interrupt comes"
        if to.startswith("c"):
            return f"the interrupt lands on CPU {to[1:]}"
        return next(f"{flow} goes on" for flow in self.kernel.sched.flows if str(flow.number) == to)

    @property
    def story(self) -> list[str]:
        """The switches, a sentence each."""
        told = []
        for who, stack, follower in self._places:
            place = user_frames(stack)[:1]
            at = f" before {place[0].short} in {place[0].function}" if place else ""
            told.append(f"{who} {f'is stopped{at}' if stack else 'waits or ends'}: {follower}")
        return told

    # -- steps ------------------------------------------------------------------------------------------

    def called(self, name: str, caller: FrameType | None) -> None:
        """A kernel function is called; a step, if the driver itself calls it."""
        if not name.startswith(_JUDGES):
            self.races.settle(self.order.current)
        self.kernel.sched.running.polls = (None, 0)
        if caller is not None and _is_drivers(caller):
            self.kernel.sched.point()

    def accessing(self) -> Way | None:
        """By which way of the driver's memory is about to be accessed, after a step; None if kmock itself does."""
        frame: FrameType | None = sys._getframe(2)
        rcu = False
        while frame is not None and (file := frame.f_code.co_filename).startswith(_WAYS):
            rcu = rcu or file == _RCU_LISTS
            frame = frame.f_back
        if frame is None or not _is_drivers(frame) or self.kernel.sched.running.inside:
            return None
        self.kernel.sched.point()
        return Way(frame, rcu)

    def access(self, way: Way, address: int, n: int, owner: Allocation | None, *, write: bool) -> Access | None:
        """The driver accesses memory; None where there is nobody to race with, or it minds that itself."""
        if not write:
            self._polling(way.frame, address)
        context = self.order.current
        if self.order.alone or (context.retrying and not write):
            return None
        marked = context.marking > 0 or way.rcu
        stack = capture(2, 16)
        made = self.races.access(address, n, owner, stack, write=write, marked=marked, frame=way.frame)
        words = range(address // WORD, (address + n - 1) // WORD + 1)
        if write and marked and self.kernel.sched.running.unbroken and not context.releasing:
            self.order.carried(words)
        elif write:
            self.order.stored(words, marked=marked, release=context.releasing > 0 or way.rcu)
        elif marked:
            self.order.loaded(words, acquire=context.releasing > 0 or way.rcu)
        self.races.torn(made)
        return made

    def _polling(self, frame: FrameType, address: int) -> None:
        """See whether a flow goes round and round a load, without even saying so by cpu_relax()."""
        flow = self.kernel.sched.running
        at = (frame.f_code, frame.f_lasti, address)
        flow.polls = (at, flow.polls[1] + 1) if flow.polls[0] == at else (at, 1)
        if flow.polls[1] < POLLS:
            return
        flow.polls = (None, 0)
        k = self.kernel
        if at not in self.told:
            self.told.add(at)
            stack = k.capture()
            headline = f"BUG: kmock: busy-loop in {k.symbol(stack)}"
            lines = [f"the same {POLLS} loads in a row, without cpu_relax() or a limit"]
            k.report("busy-loop", headline, lines=lines, stacks={"access": stack}, key=("busy-loop", at))
        if not k.sched.somebody_waits and k.sched.timeouts.first is None:
            k.current.wait = k.current.wait or Wait("in a loop, for what nobody is left to do")
            raise deadlock(k, hang_report(k, [k.current]))
        k.sched.give_way()

    # -- what the driver says of its accesses -------------------------------------------------------------

    def loaded(self, *, acquire: bool = False, whole: bool = False) -> None:
        """The last load was marked, or with ``whole`` those of the statement."""
        context = self.order.current
        caller = sys._getframe(2)
        words = self.races.mark(context, caller.f_lineno if whole else None)
        self.order.loaded(words, acquire=acquire)

    @contextmanager
    def storing(self, *, release: bool = False) -> Iterator[None]:
        """What is stored in the block is marked."""
        context = self.order.current
        context.marking += 1
        context.releasing += release
        try:
            yield
        finally:
            context.marking -= 1
            context.releasing -= release

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is done in the block is no step, and nobody's access."""
        flow = self.kernel.sched.running
        flow.inside += 1
        try:
            yield
        finally:
            flow.inside -= 1

    def fence(self, *, read: bool, write: bool) -> None:
        """A memory barrier."""
        self.order.fence(read=read, write=write)

    # -- interrupts -------------------------------------------------------------------------------------

    def enter_interrupt(self, offset: int) -> None:
        """An interrupt begins."""
        flow = self.kernel.sched.running
        if flow.contexts:
            self.races.settle(self.order.current)
        self.order.enter(flow, offset & (HARDIRQ_MASK | NMI_MASK) or offset)

    def leave_interrupt(self) -> None:
        """It ends."""
        self.races.settle(self.order.current)
        self.order.leave(self.kernel.sched.running)
