"""Misuse of single locks: released, used, initialised, freed when it must not be.

``kernel/locking/lockdep.c``, and the debug code of each lock (``spinlock_debug.c``, ``mutex-debug.c``), which speaks
where lockdep does not look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.sanitizers.atomic_sleep import LONG_NSECS
from kmock.sanitizers.lock_class import definition_site
from kmock.sanitizers.lock_text import LockText
from kmock.stack import result_dropped, user_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kmock.kernel.held import Held, Lock, LockState
    from kmock.report import Report
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack


class LockMisuse(LockText):
    """What is wrong with the use of a lock, whatever other locks there are."""

    __slots__ = ()

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
            holder.let_go(k)
        state.reset(name, definition_site())

    def tried(self, lock: Lock, state: LockState, *, taken: bool) -> None:
        """A trylock is about to return: its result says who holds the lock, so somebody has to look at it."""
        k = self.kernel
        state.failed_try = None if taken else k.current
        if k.config.lockdep and result_dropped():
            what = "took the lock this time" if taken else "did not get the lock, and the driver goes on without it"
            k.report(
                "lock-trylock-ignored",
                f"BUG: kmock: lock-trylock-ignored in {self.here()}",
                lines=[f"nobody looks at what the trylock of {self.name(lock)} returns; it {what}"],
                key=("lock-trylock-ignored", lock),
                object=self.info(lock),
            )

    def out_of_order(self, held: Held, later: Sequence[Held]) -> None:
        """Lint: a lock is released while one that was taken inside it is still held."""
        inner = next((one for one in later if not one.is_map), None)
        if inner is None or held.is_map:
            return
        k = self.kernel
        stack = k.capture()
        k.report(
            "lock-release-order",
            f"BUG: kmock: lock-release-order in {k.symbol(stack)}",
            lines=[f"{held} is released before {inner}, which was taken inside it"],
            stacks={"access": stack, "taken": held.stack},
            key=("release-order", held.cls),
            object=self.info(held.lock),
        )

    def held_too_long(self, held: Held) -> None:
        """Lint: a spin lock was held for so long that others spun for it, or interrupts waited."""
        k = self.kernel
        spent = k.clock.now - held.since
        if spent <= LONG_NSECS:
            return
        stack = k.capture()
        k.report(
            "lock-held-too-long",
            f"BUG: kmock: lock-held-too-long in {k.symbol(stack)}",
            lines=[f"{held} was held for {spent / 1_000_000:g} ms"],
            stacks={"access": stack, "taken": held.stack},
            key=("long", held.cls),
            object=self.info(held.lock),
        )

    def unlock_imbalance(self, lock: Lock, kind: str, holder: Held | None = None) -> Report | None:
        """A lock is released that the task doesn't hold."""
        k = self.kernel
        state = lock.of(k)
        stacks = {"access": k.capture()}
        if holder is not None:
            stacks["taken"] = holder.stack
        if state.failed_try is k.current:
            kind = "lock-trylock-ignored"
        if k.config.lockdep and not k.current.lockdep_off:
            lines = [
                "-------------------------------------",
                f"{k.current!r} is trying to release lock ({self.name(lock)}) at:",
                f" {self.here()}",
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
            self.non_static_key(kind, **more)

    def non_static_key(self, kind: str, **more: Any) -> None:
        """``register_lock_class()``: a lock that no macro gave a class."""
        self.kernel.report(
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
            self.assertion(lock)

    def assert_not_held(self, lock: Lock) -> None:
        """``lockdep_assert_not_held()``."""
        if any(held.lock is lock for held in self.kernel.current.held):
            self.assertion(lock)

    def assertion(self, about: Lock | None = None) -> None:
        """WARN that what ``lockdep_assert()`` and its kin demand is not so."""
        k = self.kernel
        if not k.config.lockdep or k.current.lockdep_off:
            return
        place = user_frames(k.capture())
        at, function = (place[0].short, place[0].function) if place else ("lockdep.h:0", "lockdep_assert")
        what = self.info(about) if about is not None else None
        k.warn("lock-assert-failed", at, function, key=("assert", at), object=what)
