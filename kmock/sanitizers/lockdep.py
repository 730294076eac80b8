"""Misuse of locks (``kernel/locking/lockdep.c``, ``spinlock_debug.c``, ``mutex-debug.c``).

A lock's class is its name and the place that defined or initialised it. The class remembers in which
contexts its locks were taken, which is enough to find a lock that is taken in an interrupt and elsewhere
with interrupts on; taking one twice, releasing what is not held and taking a sleeping lock where one may
not sleep are seen on the task's list of held locks.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK, SOFTIRQ_OFFSET
from kmock.report import ObjectInfo
from kmock.stack import HERE, Frame, line_of, user_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from kmock.kernel.held import Held, Lock, LockState
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.report import Report
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

Site = tuple["CodeType", int]
"""A place in the driver's code: code object and instruction offset."""

# Usage bits of a class, as lockdep names them; those for readers are four bits up.
IN_HARDIRQ = 1
ON_HARDIRQ = 2
IN_SOFTIRQ = 4
ON_SOFTIRQ = 8
_READ = 4
_NAMES = {IN_HARDIRQ: "IN-HARDIRQ", ON_HARDIRQ: "HARDIRQ-ON", IN_SOFTIRQ: "IN-SOFTIRQ", ON_SOFTIRQ: "SOFTIRQ-ON"}
_OPPOSITE = {IN_HARDIRQ: ON_HARDIRQ, ON_HARDIRQ: IN_HARDIRQ, IN_SOFTIRQ: ON_SOFTIRQ, ON_SOFTIRQ: IN_SOFTIRQ}
_BASE = 0x2000
_ARGUMENT = re.compile(r"\w+\(\s*&?([\w.\[\]]+)")


def definition_site(skip: int = 2) -> Site:
    """Return the driver's place that is calling, ``skip`` frames up or further: where a lock is defined."""
    frame = sys._getframe(skip)
    while frame.f_code.co_filename.startswith(HERE) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def name_at(site: Site) -> str:
    """Return what C would call a lock that is initialised there: the text of the macro's argument."""
    code, at = site
    found = _ARGUMENT.search(Frame(code.co_filename, line_of(code, at), code.co_name).source)
    if found is None:
        return "lock"
    return "&" + found[1].replace(".", "->") if "." in found[1] else found[1]


class LockClass:
    """All locks of one name and place, and the contexts in which they were taken."""

    __slots__ = ("marks", "name", "usage")

    def __init__(self, name: str) -> None:
        self.name = name
        self.usage = 0
        self.marks: dict[int, Stack] = {}
        """Where each usage bit was first seen."""

    @property
    def letters(self) -> str:
        """``+.+.``: how writers and readers use it against hard and soft interrupts."""
        order = [(IN_HARDIRQ, ON_HARDIRQ, 0), (IN_HARDIRQ, ON_HARDIRQ, _READ)]
        order += [(IN_SOFTIRQ, ON_SOFTIRQ, 0), (IN_SOFTIRQ, ON_SOFTIRQ, _READ)]
        return "".join(
            ".+-?"[bool(self.usage & on << shift) + 2 * bool(self.usage & inside << shift)]
            for inside, on, shift in order
        )


class Lockdep:
    """What is known of the locks of one kernel."""

    __slots__ = ("_addresses", "_classes", "_in_shrinker", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._in_shrinker = kernel.page_alloc.in_shrinker
        self._classes: dict[tuple[str, Site | None, int], LockClass] = {}
        self._addresses: dict[Any, int] = {}

    def initialise(self, lock: Lock, name: str = "") -> None:
        """``spin_lock_init()``, ``mutex_init()``...: the calling place makes the lock's class."""
        k = self.kernel
        state = lock.of(k)
        holder = state.owner or (state.readers[0] if state.readers else None)
        if holder is not None:
            k.report(
                "lock-reinit-live",
                f"BUG: kmock: lock-reinit-live in {k.symbol(k.capture())}",
                lines=[
                    f"{lock.WORD} {self.name(lock)} is initialised while {holder.task!r} holds it",
                    self.line(holder),
                ],
                stacks={"access": k.capture(), "taken": holder.stack},
                key=("held", lock),
                object=self.info(lock),
            )
            holder.task.held.remove(holder)
        state.reset(name, definition_site())

    # -- taking and releasing ---------------------------------------------------------------------

    def acquire(self, lock: Lock, state: LockState, how: str, *, read: bool, trylock: bool, subclass: int) -> None:
        """Look at a lock that is about to be taken."""
        cls = state.cls.get(subclass)
        if cls is None:
            cls = self._class(lock, state, subclass)
        cpu = self.kernel.cpu
        if lock.WAIT == 3 and cpu.preempt_count & 0xFFFF00:
            return  # that it is taken at all is the mistake
        usage = _usage(cpu.preempt_count, cpu.irqs_off, trylock=trylock) << (_READ if read else 0)
        if usage & ~cls.usage and self._mark(lock, cls, usage & ~cls.usage):
            return
        if trylock or not (cpu.task.held or self._in_shrinker):
            return
        if lock.WAIT == 3 and self.kernel.page_alloc.fs_reclaim.takes(lock, cls):
            return
        self._check_recursion(lock, cls, how, read=read)

    def might_take(self, lock: Lock, *, read: int = 0, subclass: int = 0) -> None:
        """``might_lock()``: look at a lock as if it were taken."""
        self.acquire(lock, lock.of(self.kernel), "might_lock", read=bool(read), trylock=False, subclass=subclass)

    def _class(self, lock: Lock, state: LockState, subclass: int) -> LockClass:
        if not state.name:
            state.name = name_at(state.site) if state.site is not None else lock.WORD
        key = (state.name, state.site, subclass)
        cls = self._classes.get(key)
        if cls is None:
            cls = self._classes[key] = LockClass(state.name + (f"/{subclass}" if subclass else ""))
        state.cls[subclass] = cls
        return cls

    def _check_recursion(self, lock: Lock, cls: LockClass, how: str, *, read: bool) -> None:
        preempt_count = self.kernel.cpu.preempt_count
        for held in self.kernel.cpu.task.held:
            if held.lock is lock:
                # read_lock() in an interrupt may nest; down_read() and read_lock() in process context may not.
                if not (read and held.read and lock.WAIT == 2 and preempt_count & 0xFFFF00):
                    self._recursive("lock-recursive", lock, cls, held)
                return
            if held.lock.of(self.kernel).cls.get(held.subclass) is cls and not (read and held.read):
                self._recursive("lock-nested-unannotated", lock, cls, held)
                return

    def _recursive(self, kind: str, lock: Lock, cls: LockClass, held: Held) -> None:
        task = self.kernel.current
        self.kernel.report(
            kind,
            "WARNING: possible recursive locking detected",
            lines=[
                "--------------------------------------------",
                f"{task!r} is trying to acquire lock:",
                f"{self.address(lock):016x} {self.describe(lock, cls)}, at: {self._here()}",
                "but task is already holding lock:",
                self.line(held),
                " Possible unsafe locking scenario:",
                "       CPU0",
                "       ----",
                f"  lock({self._name(held)});",
                f"  lock({cls.name});",
                " *** DEADLOCK ***",
                *self.held_lines(task),
            ],
            stacks={"access": self.kernel.capture(), "taken": held.stack},
            key=(kind, lock),
            object=self.info(lock),
        )

    def _mark(self, lock: Lock, cls: LockClass, new: int) -> bool:
        """Note contexts that are new for the class; whether they clash with what it was used in before."""
        before = cls.usage
        cls.usage |= new
        stack = self.kernel.capture()
        for bit in (1 << n for n in range(8)):
            if not new & bit:
                continue
            cls.marks[bit] = stack
            read = bit > ON_SOFTIRQ
            opposite = _OPPOSITE[bit >> _READ if read else bit]
            # Readers in an interrupt do no harm to readers outside.
            clash = before & opposite or (0 if read else before & opposite << _READ)
            if clash:
                self._inconsistent(lock, cls, bit, clash, stack)
                return True
        return False

    def _inconsistent(self, lock: Lock, cls: LockClass, new: int, old: int, stack: Stack) -> None:
        k = self.kernel
        count = k.cpu.preempt_count
        hard, soft_depth = int(bool(count & HARDIRQ_MASK)), int(bool(count & SOFTIRQ_OFFSET))
        soft = new & 0xCC
        name = cls.name
        k.report(
            "lock-softirq-unsafe" if soft else "lock-irq-unsafe",
            "WARNING: inconsistent lock state",
            lines=[
                "--------------------------------",
                f"inconsistent {{{usage_name(old)}}} -> {{{usage_name(new)}}} usage.",
                (
                    f"{k.current!r} [HC{hard}[{hard}]:SC{soft_depth}[{soft_depth}]:"
                    f"HE{int(not k.cpu.irqs_off)}:SE{int(not count & SOFTIRQ_MASK)}] takes:"
                ),
                f"{self.address(lock):016x} {self.describe(lock, cls)}, at: {self._here()}",
                f"{{{usage_name(old)}}} state was registered at:",
                f"   {k.symbol(cls.marks[old])}",
                " Possible unsafe locking scenario:",
                "       CPU0",
                "       ----",
                f"  lock({name});",
                "  <Interrupt>",
                f"    lock({name});",
                " *** DEADLOCK ***",
                *self.held_lines(k.current),
            ],
            stacks={"access": stack, "taken": cls.marks[old]},
            key=("inconsistent", cls, bool(soft)),
            object=self.info(lock),
        )

    def unlock_imbalance(self, lock: Lock, kind: str, holder: Held | None = None) -> Report | None:
        """A lock is released that the task doesn't hold."""
        k = self.kernel
        state = lock.of(k)
        stacks = {"access": k.capture()}
        if holder is not None:
            stacks["taken"] = holder.stack
        if k.config.lockdep and not k.current.lockdep_off:
            lines = [
                "-------------------------------------",
                f"{k.current!r} is trying to release lock ({self.name(lock)}) at:",
                f" {self._here()}",
                "but there are no more locks to release!",
                *self.held_lines(k.current),
            ]
            return k.report(
                kind,
                "WARNING: bad unlock balance detected!",
                lines=lines,
                stacks=stacks,
                key=(kind, lock),
                object=self.info(lock),
            )
        if lock.WAIT == 3:
            return k.warn(
                kind,
                "kernel/locking/mutex.c:918",
                "__mutex_unlock_slowpath",
                "DEBUG_LOCKS_WARN_ON(__owner_task(owner) != get_current())",
                stacks=stacks,
                key=(kind, lock),
                object=self.info(lock),
            )
        word = "already unlocked" if state.owner is None else "wrong owner"
        return self.spin_bug(lock, kind, word, stacks)

    def uninitialised(self, lock: Lock, kind: str = "lock-uninitialised") -> None:
        """A lock is used that nobody initialised."""
        k = self.kernel
        lock.of(k).ready = True
        more: dict[str, Any] = {"key": (kind, lock), "object": self.info(lock)}
        if lock.WAIT == 3:
            k.warn(
                kind, "kernel/locking/mutex.c:582", "__mutex_lock", "DEBUG_LOCKS_WARN_ON(lock->magic != lock)", **more
            )
        elif not k.config.lockdep or k.current.lockdep_off:
            self.spin_bug(lock, kind, "bad magic", {"access": k.capture()}, magic=0)
        else:
            k.report(
                kind,
                "INFO: trying to register non-static key.",
                lines=[
                    "The code is fine but needs lockdep annotation, or maybe",
                    "you didn't initialize this object before use?",
                    "turning off the locking correctness validator.",
                ],
                **more,
            )

    def spin_bug(
        self, lock: Lock, kind: str, word: str, stacks: dict[str, Stack], magic: int = 0xDEAD4EAD
    ) -> Report | None:
        """``spin_bug()``: what ``CONFIG_DEBUG_SPINLOCK`` says where lockdep does not look."""
        k = self.kernel
        owner = lock.of(k).owner
        who = f"{owner.task!r}" if owner is not None else "<none>/-1"
        where = owner.cpu if owner is not None else 0 if not magic else -1
        return k.report(
            kind,
            f"BUG: {'rwlock' if lock.WORD == 'rwlock' else 'spinlock'} {word} on CPU#{k.cpu.id}, {k.current!r}",
            lines=[f" lock: {self.address(lock):#x}, .magic: {magic:08x}, .owner: {who}, .owner_cpu: {where}"],
            stacks=stacks,
            key=(kind, lock),
            object=self.info(lock),
        )

    def freed_held(self, lock: Lock, state: LockState, allocation: Allocation | None) -> None:
        """Memory goes with a held lock in it."""
        k = self.kernel
        holder = state.owner or state.readers[0]
        start = allocation.addr if allocation is not None else self.address(lock)
        end = allocation.end if allocation is not None else start + lock.C_SIZE
        k.report(
            "lock-freed-held",
            "WARNING: held lock freed!",
            lines=[
                "-------------------------",
                f"{k.current!r} is freeing memory {start:016x}-{end - 1:016x}, with a lock still held there!",
                self.line(holder),
                *self.held_lines(k.current),
            ],
            stacks={"access": k.capture(), "taken": holder.stack},
            key=("held", lock),
            object=self.info(lock),
        )

    def assert_held(self, lock: Lock, right: Callable[[Held], bool]) -> None:
        """``lockdep_assert_held()``: WARN in the driver's own line."""
        if not any(held.lock is lock and right(held) for held in self.kernel.current.held):
            self._assertion(lock)

    def assert_not_held(self, lock: Lock) -> None:
        """``lockdep_assert_not_held()``."""
        if any(held.lock is lock for held in self.kernel.current.held):
            self._assertion(lock)

    def _assertion(self, lock: Lock) -> None:
        k = self.kernel
        if not k.config.lockdep or k.current.lockdep_off:
            return
        place = user_frames(k.capture())
        at, function = (place[0].short, place[0].function) if place else ("lockdep.h:0", "lockdep_assert_held")
        k.warn("lock-assert-failed", at, function, key=("assert", at), object=self.info(lock))

    # -- words ------------------------------------------------------------------------------------

    def wait_context(self, task: Task, wanted: str) -> list[str]:
        """The lines about a sleeping lock taken where lockdep sees that one may not sleep, if it does."""
        k = self.kernel
        if not k.config.lockdep or task.lockdep_off:
            return []
        count = k.cpu.preempt_count
        context = 2 if count & (HARDIRQ_MASK | NMI_MASK | SOFTIRQ_OFFSET) else 4
        if context == 4 and not task.rcu_depth and all(held.lock.WAIT != 2 for held in task.held):
            return []
        return [
            "[ BUG: Invalid wait context ]",
            f"{task!r} is trying to lock:",
            f"{wanted}, at: {self._here()}",
            f"context-{{{context}:{context}}}",
            *self.held_lines(task),
        ]

    def held_lines(self, task: Task) -> list[str]:
        """``lockdep_print_held_locks()``."""
        lines = [f" #{n}: {self.line(held)}" for n, held in enumerate(task.held)]
        lines += [
            f" #{n}: {self.kernel.layout.image + 0x2A0_0000:016x} (rcu_read_lock){{....}}-{{1:2}}, at: rcu_read_lock+0x0/0x0"
            for n in range(len(task.held), len(task.held) + task.rcu_depth)
        ]
        if not lines:
            return [f"no locks held by {task!r}."]
        return [f"{len(lines)} lock{'s' * (len(lines) > 1)} held by {task!r}:", *lines]

    def line(self, held: Held) -> str:
        """``ffff888004a1b0c8 (name){+.+.}-{2:2}, at: function+0x10/0x40``."""
        lock = held.lock
        cls = lock.of(self.kernel).cls.get(held.subclass)
        return f"{self.address(lock):016x} {self.describe(lock, cls)}, at: {held.place}"

    def describe(self, lock: Lock, cls: LockClass | None = None) -> str:
        """``(name){+.+.}-{2:2}``."""
        letters = cls.letters if cls is not None else "...."
        name = cls.name if cls is not None else self.name(lock)
        return f"({name}){{{letters}}}-{{{lock.WAIT}:{lock.WAIT}}}"

    def name(self, lock: Lock) -> str:
        """The lock's name, as it was defined or as the source calls it where it was initialised."""
        state = lock.of(self.kernel)
        if not state.name:
            self._class(lock, state, 0)
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

    def _name(self, held: Held) -> str:
        cls = held.lock.of(self.kernel).cls.get(held.subclass)
        return cls.name if cls is not None else self.name(held.lock)

    def _here(self) -> str:
        return self.kernel.symbol(self.kernel.capture())


def usage_name(bit: int) -> str:
    """``IN-HARDIRQ-W``."""
    read = bit > ON_SOFTIRQ
    return _NAMES[bit >> _READ if read else bit] + ("-R" if read else "-W")


def _usage(count: int, irqs_off: bool, *, trylock: bool) -> int:
    """Return the usage bits of a lock taken in that context."""
    usage = 0
    if not trylock:
        if count & (HARDIRQ_MASK | NMI_MASK):
            usage |= IN_HARDIRQ
        if count & SOFTIRQ_OFFSET:
            usage |= IN_SOFTIRQ
    if not irqs_off:
        usage |= ON_HARDIRQ if count & SOFTIRQ_MASK else ON_HARDIRQ | ON_SOFTIRQ
    return usage
