"""How lockdep speaks of locks (``print_lock()`` and its kin of ``kernel/locking/lockdep.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK, SOFTIRQ_OFFSET
from kmock.report import ObjectInfo
from kmock.sanitizers.lock_class import name_at
from kmock.stack import site, user_frames

if TYPE_CHECKING:
    from kmock.kernel.held import Held, Lock, LockState
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_class import LockClass, Site
    from kmock.stack import Stack

_BASE = 0x2000
_SPIN = 2


class LockText:
    """Names, addresses and descriptions of the locks of one kernel."""

    __slots__ = ("_addresses", "_raw_nesting", "_told", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._addresses: dict[Any, int] = {}
        self._told: dict[object, Site | None] = {}
        """Where something was told of last."""
        self._raw_nesting = kernel.config.prove_raw_lock_nesting

    def wait_type(self, lock: Lock) -> int:
        """What may be taken inside ``lock`` (``enum lockdep_wait_type``).

        With CONFIG_PROVE_RAW_LOCK_NESTING spin locks are what they are on PREEMPT_RT: locks that sleep, of a kind.
        """
        return lock.WAIT + (self._raw_nesting and lock.WAIT >= _SPIN and not lock.RAW)

    def wait_context(self, task: Task, wanted: str) -> list[str]:
        """The lines about a sleeping lock taken where lockdep sees that one may not sleep, if it does."""
        k = self.kernel
        if not k.config.lockdep or task.lockdep_off:
            return []
        interrupt = bool(k.cpu.preempt_count & (HARDIRQ_MASK | NMI_MASK | SOFTIRQ_OFFSET))
        if not interrupt and not task.rcu_depth and all(held.lock.WAIT != _SPIN for held in task.held):
            return []
        return self.invalid_wait_context(task, f"{wanted}, at: {self.here()}", interrupt=interrupt)

    def invalid_wait_context(self, task: Task, wanted: str, *, interrupt: bool) -> list[str]:
        """``print_lock_invalid_wait_context()``; ``wanted`` is the lock that is to be taken."""
        context = (_SPIN if interrupt else _SPIN + 2) + self._raw_nesting
        return [
            "[ BUG: Invalid wait context ]",
            f"{task!r} is trying to lock:",
            wanted,
            f"context-{{{context}:{context}}}",
            *self.held_lines(task),
        ]

    def held_lines(self, task: Task) -> list[str]:
        """``lockdep_print_held_locks()``."""
        shown = [held for held in task.held if held.cls is None or not held.cls.unseen]
        lines = [f" #{n}: {self.line(held)}" for n, held in enumerate(shown)]
        lines += [
            f" #{n}: {self.kernel.layout.image + 0x2A0_0000:016x} (rcu_read_lock){{....}}-{{1:{_SPIN + self._raw_nesting}}}, "
            "at: rcu_read_lock+0x0/0x0"
            for n in range(len(shown), len(shown) + task.rcu_depth)
        ]
        if not lines:
            return [f"no locks held by {task!r}."]
        return [f"{len(lines)} lock{'s' * (len(lines) > 1)} held by {task!r}:", *lines]

    def state_of_irqs(self, task: Task) -> str:
        """``sh/71 [HC0[0]:SC0[0]:HE1:SE1]``: whether in which interrupts, and which are on."""
        cpu = self.kernel.cpu
        count = cpu.preempt_count
        hard, soft = (count & HARDIRQ_MASK) >> 16, (count & SOFTIRQ_MASK) >> 8
        inside = int(bool(hard)), int(bool(count & SOFTIRQ_OFFSET))
        return f"{task!r} [HC{inside[0]}[{hard}]:SC{inside[1]}[{soft}]:HE{int(not cpu.irqs_off)}:SE{int(not soft)}]"

    def line(self, held: Held) -> str:
        """``ffff888004a1b0c8 (name){+.+.}-{2:2}, at: function+0x10/0x40``."""
        return f"{self.address(held.lock):016x} {self.describe(held.lock, held.cls)}, at: {held.place}"

    def line_here(self, lock: Lock, cls: LockClass) -> str:
        """The same for a lock that is about to be taken."""
        return f"{self.address(lock):016x} {self.describe(lock, cls)}, at: {self.here()}"

    def describe(self, lock: Lock, cls: LockClass | None = None) -> str:
        """``(name){+.+.}-{2:2}``."""
        if cls is not None:
            return self.describe_class(cls)
        wait = self.wait_type(lock)
        return f"({self.name(lock)}){{....}}-{{{wait}:{wait}}}"

    def describe_class(self, cls: LockClass) -> str:
        """``(name){+.+.}-{2:2}``."""
        return f"({cls.name}){{{cls.letters}}}-{{{cls.wait}:{cls.wait}}}"

    def name(self, lock: Lock) -> str:
        """The lock's name, as it was defined or as the source calls it where it was initialised."""
        state: LockState = lock.of(self.kernel)
        if not state.name:
            state.name = name_at(state.site) if state.site is not None else lock.WORD
        return state.name

    def address(self, lock: Lock) -> int:
        """Where the lock lies: in a struct's memory, or else among the module's variables."""
        at = self.kernel.mem.embedded.address(lock)
        if at is not None:
            return at
        fallback = self.kernel.layout.modules + _BASE + 64 * len(self._addresses)
        return self._addresses.setdefault(lock, fallback)

    def info(self, lock: Lock) -> ObjectInfo:
        """The lock as the object of a report."""
        return ObjectInfo(self.address(lock), lock.C_SIZE, f"{lock.WORD} {self.name(lock)}")

    def told(self, about: object, stack: Stack) -> bool:
        """Whether the place that is running was told of ``about`` just before: a call may ask more than once."""
        here = site(stack)
        if about in self._told and self._told[about] == here:
            return True
        self._told[about] = here
        return False

    def here(self) -> str:
        """``function+0x10/0x40`` of the driver's line that runs."""
        return self.kernel.symbol(self.kernel.capture())


def trace(stack: Stack, indent: int) -> list[str]:
    """``print_lock_trace()``: the driver's frames of a stack."""
    return [" " * indent + frame.symbol for frame in user_frames(stack)]
