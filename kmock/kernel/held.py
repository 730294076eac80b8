"""What all locks have in common: state that belongs to one kernel, and the record of a lock being held."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from kmock.hw.cpu import SOFTIRQ_MASK
from kmock.stack import capture, user_frames

if TYPE_CHECKING:
    from weakref import ReferenceType

    from kmock.hw.clock import Clock
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_chain import Chain
    from kmock.sanitizers.lock_class import LockClass, Site, lock_class_key
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

S = TypeVar("S")
_DEPTH = 8  # a lock is taken often, and of its stack mostly one place is read


class PerKernel(Generic[S]):
    """An object that may be made before any kernel runs, and whose state belongs to the kernel that uses it.

    ``of(k)`` is the state in ``k``, made by ``fresh()`` when ``k`` first asks: no kernel sees another's.
    """

    __slots__ = ("__weakref__", "_clock", "_kernel", "_others", "_state")

    def __init__(self) -> None:
        # A kernel's clock stands for the kernel: it refers to nothing, so keeping it keeps no machine alive.
        self._clock: Clock | None = None
        self._kernel: ReferenceType[Kernel] | None = None
        self._others: weakref.WeakKeyDictionary[Kernel, S] | None = None
        self._state: S

    def fresh(self) -> S:
        """Return the state that the object starts with in a kernel."""
        raise NotImplementedError

    def of(self, k: Kernel) -> S:
        """Return the object's state in ``k``."""
        if self._clock is not k.clock:
            self._bind(k)
        return self._state

    def _bind(self, k: Kernel) -> None:
        previous = self._kernel() if self._kernel is not None else None
        if previous is not None:
            if self._others is None:
                self._others = weakref.WeakKeyDictionary()
            self._others[previous] = self._state
        known = self._others.get(k) if self._others is not None else None
        self._state = self.fresh() if known is None else known
        self._kernel = weakref.ref(k)
        self._clock = k.clock


class LockState:
    """A lock in one kernel."""

    __slots__ = (
        "cls",
        "count",
        "destroyed",
        "failed_try",
        "key",
        "name",
        "owner",
        "readers",
        "ready",
        "site",
        "waiters",
    )

    def __init__(self, *, ready: bool, name: str = "", site: Site | None = None, count: int = 0) -> None:
        self.ready = ready
        """Whether somebody initialised it."""
        self.destroyed = False
        self.name = name
        self.site = site
        """Where it was defined or initialised; with the name that makes the lock class."""
        self.key: lock_class_key | None = None
        """What makes the class instead, where ``lockdep_set_class()`` gave it."""
        self.failed_try: Task | None = None
        """Who tried to take it last and could not."""
        self.cls: dict[int, LockClass] = {}
        """The lock class, by subclass."""
        self.owner: Held | None = None
        self.readers: list[Held] = []
        self.count = count
        self.waiters: deque[Any] = deque()

    def reset(self, name: str, site: Site) -> None:
        """``spin_lock_init()`` and its kin: free, and of the class of that place."""
        self.ready = True
        self.destroyed = False
        self.name = name
        self.site = site
        self.key = None
        self.failed_try = None
        self.cls = {}
        self.owner = None
        self.readers = []
        self.count = 0
        self.waiters = deque()


class Lock(PerKernel[LockState]):
    """Base of every lock type. Made uninitialised, as C's declaration of one is, unless ``name`` says otherwise."""

    __slots__ = ("name", "site")

    C_SIZE: ClassVar[int] = 8
    """``sizeof`` in a kernel without lock debugging, as drivers are shipped for."""
    WORD: ClassVar[str] = "lock"
    """What the lock is called in reports."""
    WAIT: ClassVar[int] = 2
    """lockdep's wait type: 2 for spinning locks, 3 for sleeping ones (``include/linux/lockdep_types.h``)."""
    UNINITIALISED: ClassVar[str] = "lock-uninitialised"
    """Kind of report for using one that nobody initialised."""
    ON_STACK: bool = False
    """Whether it was initialised as a local variable: then its class has a key of its own."""
    PROTECTS: ClassVar[bool] = False
    """Whether it is there to protect what lies beside it."""
    RAW: ClassVar[bool] = False
    """Whether it spins even on PREEMPT_RT."""

    def __init__(self, name: str = "", site: Site | None = None) -> None:
        super().__init__()
        self.name = name
        self.site = site

    def fresh(self) -> LockState:
        """A lock that a ``DEFINE_`` macro made is initialised; a declared one is not."""
        return LockState(ready=bool(self.name), name=self.name, site=self.site)

    def cycle_kind(self, how: str) -> str:
        """What a cycle of lock orders is called in which this was held by ``how``; empty where that is nothing special."""
        return ""

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that the lock lies in is being freed."""
        state = self.of(k)
        if state.owner is not None or state.readers:
            k.lockdep.freed_held(self, state, allocation)

    def __repr__(self) -> str:
        return f"<{self.WORD} {self.name}>" if self.name else f"<{self.WORD}>"


class lockdep_map(Lock):
    """``struct lockdep_map``: what lockdep holds for something that is waited for as a lock is, and is none.

    Functions that run later have one (:mod:`kmock.kernel.callbacks`), and so has reclaim.
    """

    __slots__ = ("kind", "unseen")
    WORD: ClassVar[str] = "map"
    WAIT: ClassVar[int] = 0

    def __init__(self, name: str = "", site: Site | None = None, *, kind: str = "", unseen: bool = False) -> None:
        super().__init__(name, site)
        self.kind = kind
        self.unseen = unseen
        """Whether Linux has no such map, and so says nothing."""

    def cycle_kind(self, how: str) -> str:
        """What waiting for it under a lock that is taken inside is called."""
        return self.kind


class Held:
    """A lock held by a task: how it was taken, and where."""

    __slots__ = (
        "bh_off", "chain", "cls", "cpu", "flags", "how", "irqs_off", "lock", "phase", "read", "since", "stack", "task",
    )  # fmt: skip

    def __init__(self, k: Kernel, lock: Any, *, read: bool, how: str, chain: Chain | None = None) -> None:
        cpu = k.cpu
        self.lock = lock
        self.read = read
        self.how = how
        """The call that took it: ``spin_lock_irqsave``..."""
        self.chain = chain
        """All locks held up to this one; None where lockdep does not look at it."""
        self.cls = chain.cls if chain is not None else None
        self.since = k.clock.now
        self.task: Task = cpu.task
        self.cpu = cpu.id
        self.bh_off = bool(cpu.preempt_count & SOFTIRQ_MASK)
        """Whether bottom halves were off when it was taken, for whatever reason."""
        self.irqs_off = cpu.irqs_off
        """Whether interrupts were off before it was taken."""
        self.flags: int | None = None
        """What the call returned that took it: saved flags, or the index of an SRCU section."""
        self.phase = k.phase
        self.stack: Stack = capture(3, _DEPTH)

    def let_go(self, k: Kernel) -> None:
        """The task does not hold the lock any more; it need not be the one that was taken last."""
        locks = self.task.held
        if locks and locks[-1] is self:
            locks.pop()
        elif self in locks:
            at = locks.index(self)
            del locks[at]
            k.lockdep.rehold(locks, at)
            if k.config.lint:
                k.lockdep.out_of_order(self, locks[at:])

    @property
    def trylock(self) -> bool:
        """Whether it was only tried for, and so waited for nobody."""
        return "try" in self.how

    @property
    def is_map(self) -> bool:
        """Whether it is no lock, but something that lockdep looks at as one."""
        return isinstance(self.lock, lockdep_map)

    @property
    def place(self) -> str:
        """``function+0xoffset/0xsize`` of the driver's line that took it."""
        found = user_frames(self.stack)
        return found[0].symbol if found else "kmock+0x0/0x0"

    @property
    def short(self) -> str:
        """``file:line`` of the driver's line that took it."""
        found = user_frames(self.stack)
        return found[0].short if found else "?"

    def __str__(self) -> str:
        name = self.lock.name or self.lock._state.name
        return f"{self.lock.WORD} {name} ({self.how} at {self.short})"
