"""Lock checking in the manner of lockdep (``kernel/locking/lockdep.c``).

A lock's class is its name and the place that defined or initialised it. Of each class it is remembered in which
contexts its locks were taken, and which others were taken inside them. So two orders or two contexts that could
deadlock together are found although each was seen by itself, in whatever order and on one processor.

The locks that a task holds make a chain. A chain that was looked at once is known, and taking its last lock again
costs one look-up; only one that is new is held against the graph (:mod:`kmock.sanitizers.lock_graph`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_OFFSET
from kmock.sanitizers import lock_graph, lock_order, lock_usage
from kmock.sanitizers.lock_chain import Chain
from kmock.sanitizers.lock_class import NO_VALIDATE, LockClass, Site, definition_site, lock_class_key
from kmock.sanitizers.lock_graph import EXCLUSIVE, RECURSIVE, SHARED
from kmock.sanitizers.lock_misuse import LockMisuse
from kmock.sanitizers.lock_usage import ALL_IN, ON_HARDIRQ, ON_SOFTIRQ, READ, USED, USED_READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.kernel.held import Held, Lock, LockState
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_graph import Step

__all__ = ["Lockdep", "Site", "definition_site"]

_PLAIN = ON_HARDIRQ | ON_SOFTIRQ | USED
_SOFTIRQ_CONTEXT = 1
_HARDIRQ_CONTEXT = 2
_INTERRUPT = 0xFFFF00


class Lockdep(LockMisuse):
    """What is known of the locks of one kernel."""

    __slots__ = ("_versions", "callbacks", "classes", "roots")

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self.classes: dict[tuple[str, object, int], LockClass] = {}
        """By name, key and subclass. A class without a key of its own has the place that made it."""
        self._versions: dict[tuple[str, object], int] = {}
        self.callbacks: dict[object, Any] = {}
        """The maps of functions that run later (:mod:`kmock.kernel.callbacks`)."""
        self.roots = tuple(Chain(None, 0, context) for context in range(4))
        """Where chains begin: in process context, in a softirq, in a hard interrupt, in one that interrupted the other."""

    # -- classes ----------------------------------------------------------------------------------

    def class_of(self, lock: Lock, subclass: int = 0) -> LockClass:
        """``register_lock_class()``: the class of a lock, made when the first of its locks is used."""
        state = lock.of(self.kernel)
        cls = state.cls.get(subclass)
        if cls is None:
            cls = state.cls[subclass] = self._class(lock, state, subclass)
        return cls

    def _class(self, lock: Lock, state: LockState, subclass: int) -> LockClass:
        name = self.name(lock)
        if lock.name and state.site is lock.site and state.key is None and not lock.ON_STACK:
            self._check_static(lock)
        identity: object = state.key or state.site or state
        key = (name, identity, subclass)
        cls = self.classes.get(key)
        if cls is None:
            version = self._version(name, identity)
            cls = self.classes[key] = LockClass(name, identity, subclass, version=version, wait=self.wait_type(lock))
            cls.checked = state.key is not NO_VALIDATE
            cls.unseen = getattr(lock, "unseen", False)
        return cls

    def number(self, cls: LockClass) -> int:
        """Which class it is, counted in the order in which they were first used."""
        return list(self.classes.values()).index(cls)

    def _check_static(self, lock: Lock) -> None:
        """``assign_lock_key()``: what makes the class of a lock that was just defined is its address, which has to last."""
        mem = self.kernel.mem
        at = mem.embedded.address(lock)
        about = mem.owner(at) if at is not None else None
        if about is not None and about.area != "global":
            self.non_static_key(lock.UNINITIALISED, key=(lock.UNINITIALISED, lock), object=self.info(lock))

    def _version(self, name: str, identity: object) -> int:
        """``count_matching_names()``."""
        if (name, identity) not in self._versions:
            self._versions[name, identity] = 1 + sum(other == name for other, _ in self._versions)
        return self._versions[name, identity]

    def set_class(self, lock: Lock, key: lock_class_key, name: str, subclass: int = 0) -> None:
        """``lockdep_set_class_and_subclass()``: have ``lock`` be of the class that ``key`` stands for."""
        k = self.kernel
        if key.registered is not k and k.mem.embedded.address(key) is not None:
            headline = f"BUG: key {k.mem.embedded.address(key):016x} has not been registered!"
            k.report("lock-uninitialised", headline, lines=["DEBUG_LOCKS_WARN_ON(1)"], key=("key", key))
            return
        state = lock.of(k)
        state.key, state.name = key, name
        self.set_subclass(lock, subclass)

    def set_subclass(self, lock: Lock, subclass: int) -> None:
        """``lockdep_set_subclass()``: what takes ``lock`` without a subclass takes it as of this one."""
        state = lock.of(self.kernel)
        state.cls = {}
        if subclass:
            state.cls[0] = self._class(lock, state, subclass)

    def forget_key(self, key: lock_class_key) -> None:
        """``lockdep_unregister_key()``: the classes of ``key`` are no more."""
        for at in [at for at, cls in self.classes.items() if cls.key is key]:
            lock_graph.disconnect(self.classes.pop(at))
        for root in self.roots:
            root.forget(key)

    # -- taking -----------------------------------------------------------------------------------

    def acquire(
        self, lock: Lock, state: LockState, *, read: int, trylock: bool, subclass: int = 0, nest: Lock | None = None
    ) -> Chain:
        """Look at a lock that is about to be taken; return the chain that is held then."""
        cls = state.cls.get(subclass)
        if cls is None:
            cls = state.cls[subclass] = self._class(lock, state, subclass)
        cpu = self.kernel.cpu
        count = cpu.preempt_count
        held = cpu.task.held
        if count & _INTERRUPT:
            context = _context(count)
            usage = lock_usage.usage(count, cpu.irqs_off, trylock=trylock) | USED
            if read and lock.WAIT == 2:
                # read_lock_is_recursive(): readers in interrupts pass a writer that waits.
                read = RECURSIVE
        else:
            context = 0
            usage = USED if cpu.irqs_off else _PLAIN
        if read:
            usage = (usage & WRITE) << READ | USED_READ
        chain = self.roots[context]
        for one in reversed(held):
            if one.chain is not None:
                if one.chain.context == context:
                    chain = one.chain
                break
        chain = chain.then(cls, read)
        if count & _INTERRUPT and lock.WAIT == 3:
            return chain  # that it is taken at all is the mistake
        if self._raw_nesting and not trylock:
            self._check_wait_type(lock, cls, held, context)
        if usage & ~cls.usage and not self._mark(lock, cls, usage & ~cls.usage):
            return chain
        if not (trylock or chain.checked):
            chain.checked = self._validate(lock, chain, held, nest)
        return chain

    def might_take(self, lock: Lock, *, read: int = 0, subclass: int = 0, irqs_off: bool = False) -> None:
        """``might_lock()``: look at it as if it were taken, and released at once; with ``irqs_off`` interrupts were off."""
        k = self.kernel
        if not k.config.lockdep or k.current.lockdep_off:
            return
        cpu = k.cpu
        before, cpu.irqs_off = cpu.irqs_off, cpu.irqs_off or irqs_off
        try:
            self.acquire(lock, lock.of(k), read=read, trylock=False, subclass=subclass)
        finally:
            cpu.irqs_off = before

    def enter(self, callback: Lock, *, runs: bool = False) -> Chain | None:
        """Look at the map of a callback that begins to run, or that the task is to wait for the end of.

        Return the chain that is held then, None where nobody looks. In which context that is counts where Linux has
        such a map, and the callback runs: whoever interrupts it may come to wait for it.
        """
        k = self.kernel
        cpu = k.cpu
        held = cpu.task.held
        if not k.config.lockdep or cpu.task.lockdep_off:
            return None
        if runs and not self.class_of(callback).unseen:
            return self.acquire(callback, callback.of(k), read=0, trylock=False)
        context = _context(cpu.preempt_count)
        chain = self._chain(held, len(held), context).then(self.class_of(callback), 0)
        if not chain.checked:
            chain.checked = self._validate(callback, chain, held, None)
        return chain

    # -- releasing --------------------------------------------------------------------------------

    def rehold(self, held: Sequence[Held], start: int) -> None:
        """``reacquire_held_locks()``: from ``start`` on, locks are held in a chain that is another now."""
        for at in range(start, len(held)):
            one = held[at]
            if one.cls is None or one.chain is None:
                continue
            before = self._chain(held, at, one.chain.context)
            one.chain = before.then(one.cls, (one.chain.mode or SHARED) if one.read else EXCLUSIVE)
            if not (one.chain.checked or one.trylock):
                one.chain.checked = self._validate(one.lock, one.chain, held[:at], None)

    def irqs_on(self, task: Task) -> None:
        """``lockdep_hardirqs_on()``: whatever the task holds is held with interrupts on from here on."""
        k = self.kernel
        if not k.config.lockdep or task.lockdep_off:
            return
        usage = lock_usage.usage(k.cpu.preempt_count, k.cpu.irqs_off, trylock=True)
        for held in task.held:
            if held.cls is not None and held.cls.checked:
                new = (usage << READ if held.read else usage) & ~held.cls.usage
                if new:
                    self._mark(held.lock, held.cls, new)

    def _chain(self, held: Sequence[Held], end: int, context: int) -> Chain:
        """The chain of the first ``end`` locks held, as far as they were taken in that context."""
        chain = next((one.chain for one in reversed(held[:end]) if one.chain is not None), None)
        return chain if chain is not None and chain.context == context else self.roots[context]

    # -- checks -----------------------------------------------------------------------------------

    def _mark(self, lock: Lock, cls: LockClass, new: int) -> bool:
        """``mark_lock()``: note usage that is new for the class; whether it goes together with all that is known.

        What does not is reported, and not noted: it would clash with everything from then on.
        """
        if not cls.checked:
            cls.usage |= new
            return True
        stack = self.kernel.capture()
        cls.usage |= new & (USED | USED_READ)
        for bit in lock_usage.bits(new):
            cls.marks[bit] = stack
            against = lock_usage.writers(lock_usage.flipped(bit))
            # Readers in an interrupt do no harm to readers outside.
            for old in (against, against << READ) if bit & WRITE else (against,):
                if cls.usage & old:
                    cls.usage |= bit
                    lock_order.inconsistent(self, lock, cls, bit, old)
                    cls.usage &= ~bit
                    return False
            cls.usage |= bit
            if other := self._inverted(cls, bit, against):
                lock_order.irq_inversion(self, lock, cls, bit, other)
                return False
        return True

    @staticmethod
    def _inverted(about: LockClass, bit: int, against: int) -> Step | None:
        """``check_usage_forwards()`` and its twin: a lock in an order known before that the new bit clashes with."""
        direction = lock_graph.FORWARDS if bit & ALL_IN else lock_graph.BACKWARDS
        if not getattr(about, direction.side):
            return None

        def clashes(step: Step) -> bool:
            return step.before is not None and bool(_counts(step) & (against | against << READ))

        return lock_graph.find(about, direction, clashes, weak=not bit & WRITE)

    def _validate(self, lock: Lock, chain: Chain, held: Sequence[Held], nest: Lock | None) -> bool:
        """``validate_chain()``: whether the last lock of a new chain may be taken inside the others."""
        cls = chain.cls
        if nest is not None and all(one.lock is not nest for one in held):
            lock_order.nest_lock_missing(self, lock, cls, nest)
            return False
        if not cls.checked:
            return True
        again = next((one for one in held if one.cls is cls and not (chain.mode == RECURSIVE and one.read)), None)
        if again is None:
            return self._add_edges(lock, chain, held)
        if nest is not None:
            return True
        # Inside reclaim or a callback, that these need the lock is the mistake.
        since = held[held.index(again) + 1 :]
        if not any(one.is_map for one in since) or self._add_edges(lock, chain, held):
            kind = "lock-recursive" if again.lock is lock else "lock-nested-unannotated"
            lock_order.recursive(self, lock.cycle_kind(again.how) or kind, lock, cls, again)
        return False

    def _add_edges(self, lock: Lock, chain: Chain, held: Sequence[Held]) -> bool:
        """``check_prevs_add()``: from the locks held, back to the first that was not just tried for."""
        direct = True
        for one in reversed(held):
            if one.cls is None or one.chain is None or not one.cls.checked:
                continue
            if one.chain.context != chain.context:
                break
            if not self._add_edge(lock, chain, one, one.chain.mode, direct=direct):
                return False
            if not one.trylock:
                break
            direct = False
        return True

    def _add_edge(self, lock: Lock, chain: Chain, one: Held, mode: int, *, direct: bool) -> bool:
        """``check_prev_add()``."""
        first = one.cls
        assert first is not None
        way = lock_graph.cycle(first, mode, chain.cls, chain.mode)
        if way is not None:
            lock_order.circular(self, lock, chain, one, way)
            return False
        ends = self._irq_ends(first, mode, chain)
        if ends is not None:
            lock_order.bad_irq_dependency(self, lock, one, *ends)
            return False
        stacks = one.stack, self.kernel.capture()
        why = one.lock.cycle_kind(one.how)
        lock_graph.connect(first, mode, chain.cls, chain.mode, stacks, direct=direct, why=why)
        return True

    @staticmethod
    def _irq_ends(first: LockClass, mode: int, chain: Chain) -> tuple[Step, Step] | None:
        """``check_irq_usage()``: a lock taken in interrupts and one that they interrupt, which a new edge connects."""
        usage = 0
        for step in lock_graph.walk(first, lock_graph.BACKWARDS, weak=mode != 0):
            usage |= _counts(step)
        if not usage & ALL_IN:
            return None
        forbidden = lock_usage.clashes(usage & ALL_IN)
        weak = chain.mode == RECURSIVE
        unsafe = lock_graph.find(
            chain.cls, lock_graph.FORWARDS, lambda step: bool(_counts(step) & forbidden), weak=weak
        )
        if unsafe is None:
            return None
        wanted = lock_usage.clashes(_counts(unsafe) & lock_usage.ALL_ON)
        safe = lock_graph.find(first, lock_graph.BACKWARDS, lambda step: bool(_counts(step) & wanted), weak=mode != 0)
        assert safe is not None
        return safe, unsafe

    def _check_wait_type(self, lock: Lock, cls: LockClass, held: Sequence[Held], context: int) -> None:
        """``check_wait_context()``, as far as ``might_sleep()`` does not say it: spin locks inside raw ones."""
        if lock.WAIT != 2:
            return
        around = [one for one in held if one.chain is not None and one.chain.context == context]
        outer = next((one for one in around if one.cls is not None and 0 < one.cls.wait < cls.wait), None)
        if outer is None:
            return
        k = self.kernel
        headline, *lines = self.invalid_wait_context(k.current, self.line_here(lock, cls), interrupt=context != 0)
        k.report(
            "lock-raw-nesting",
            headline,
            lines=lines,
            stacks={"access": k.capture(), "taken": outer.stack},
            key=("wait-type", outer.cls, cls),
            object=self.info(lock),
        )


def _context(count: int) -> int:
    """``task_irq_context()``."""
    return _HARDIRQ_CONTEXT * bool(count & (HARDIRQ_MASK | NMI_MASK)) | _SOFTIRQ_CONTEXT * bool(count & SOFTIRQ_OFFSET)


def _counts(step: Step) -> int:
    """The usage of a class that counts at the end of a path: a weak one holds up nobody but writers."""
    return step.cls.usage & WRITE if step.weak else step.cls.usage & 0xFF
