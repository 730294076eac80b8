"""What reclaim needs, and who holds it while asking for memory (``fs_reclaim`` of ``mm/page_alloc.c``).

An allocation that may reclaim on behalf of file systems can end up in any reclaim callback, and waits there for
what the callback waits for. So a lock that a callback takes must not be held across such an allocation. The two
need not meet: it is enough that each was seen once, in whatever order.

The kernel treats reclaim as one lock, ``fs_reclaim``. Code that reclaim calls without being a shrinker says so
with ``fs_reclaim_acquire()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from kmock.kernel.held import Held, Lock
from kmock.kernel.task import PF_MEMALLOC
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM, __GFP_FS, __GFP_NOLOCKDEP, gfp_text, scoped
from kmock.stack import site

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.vmscan import shrinker
    from kmock.report import Report
    from kmock.sanitizers.lockdep import LockClass, Site
    from kmock.stack import Stack

# Names with two underscores mean something else inside a class.
_MAY_ENTER = __GFP_DIRECT_RECLAIM | __GFP_FS
_FS = __GFP_FS
_NOLOCKDEP = __GFP_NOLOCKDEP


class ReclaimMap(Lock):
    """What lockdep holds for reclaim: a lock that nobody waits for."""

    __slots__ = ()
    WORD: ClassVar[str] = "map"
    WAIT: ClassVar[int] = 0


class Need(NamedTuple):
    """A lock class that reclaim takes."""

    kind: str
    """Kind of report for holding it across an allocation."""
    why: str
    stack: Stack


class FsReclaim:
    """Which lock classes reclaim takes, and which were held by somebody who may enter it."""

    __slots__ = ("_across", "_in_shrinker", "_needs", "_told", "kernel", "map")

    def __init__(self, kernel: Kernel, in_shrinker: dict[Task, shrinker]) -> None:
        self.kernel = kernel
        self.map = ReclaimMap("fs_reclaim")
        self._in_shrinker = in_shrinker
        self._needs: dict[LockClass, Need] = {}
        self._across: dict[LockClass, Stack] = {}
        """Where a class was first held across an allocation."""
        self._told: dict[LockClass, Site | None] = {}
        """Where a class was reported last: one call may ask for memory several times on its way down."""

    def acquire(self, gfp: int) -> None:
        """``fs_reclaim_acquire()``: from here on the task does what an allocation with ``gfp`` may wait for."""
        if self._may_enter(gfp):
            self._enter(gfp)
            task = self.kernel.cpu.task
            self._mark()
            task.held.append(Held(self.kernel, self.map, read=False, how="fs_reclaim_acquire"))

    def release(self, gfp: int) -> None:
        """``fs_reclaim_release()``."""
        if not self._may_enter(gfp):
            return
        held = self._declared(self.kernel.cpu.task)
        if held is None:
            self.kernel.lockdep.unlock_imbalance(self.map, "lock-unlock-not-held")
        else:
            held.task.held.remove(held)

    def allocates(self, gfp: int) -> None:
        """The task, which holds locks or is in a reclaim callback, makes an allocation that may sleep."""
        cpu = self.kernel.cpu
        callback = self._in_shrinker.get(cpu.task)
        if callback is not None:
            if scoped(gfp, cpu.task.flags) & _FS:
                self._recursion(cpu.task, callback)
        # In an interrupt the locks are somebody else's; that it may not sleep is the mistake then.
        elif self._may_enter(gfp) and not (cpu.preempt_count or cpu.irqs_off or cpu.task.rcu_depth):
            self._enter(gfp)

    def takes(self, lock: Lock, cls: LockClass) -> bool:
        """A task is about to wait for a lock that sleeps; whether that was reported, because it does so in reclaim."""
        k = self.kernel
        task = k.cpu.task
        callback = self._in_shrinker.get(task)
        held = self._declared(task)
        if callback is None and held is None:
            return False
        if cls not in self._needs:
            kind = "alloc-gfp-fs-in-fs-path" if callback is None else "lock-held-across-reclaim"
            why = "between fs_reclaim_acquire() and fs_reclaim_release()" if callback is None else f"in {callback}()"
            self._needs[cls] = Need(kind, why, k.capture())
        across = self._across.get(cls)
        if across is None:
            return False
        stack = k.capture()
        here = f"{k.lockdep.address(lock):016x} {k.lockdep.describe(lock, cls)}, at: {k.symbol(stack)}"
        there = k.lockdep.line(held) if held is not None else self._line("shrink_slab+0x0/0x0")
        stacks = {"access": stack, "allocated": across}
        report = self._circular(lock, cls, (here, there), (cls.name, "fs_reclaim"), stacks)
        if report is not None:
            # The task that reclaims may be the one that holds the lock.
            k.reports.also(report, ("lock-recursive", lock))
        return report is not None

    def _may_enter(self, gfp: int) -> bool:
        # __need_reclaim()
        k = self.kernel
        task = k.cpu.task
        if task.flags & PF_MEMALLOC or gfp & _NOLOCKDEP or scoped(gfp, task.flags) & _MAY_ENTER != _MAY_ENTER:
            return False
        return k.config.lockdep and not task.lockdep_off

    def _declared(self, task: Task) -> Held | None:
        return next((held for held in reversed(task.held) if held.lock is self.map), None)

    def _enter(self, gfp: int) -> None:
        k = self.kernel
        for held in k.cpu.task.held:
            lock = held.lock
            if lock is self.map:
                self._recursive(held, gfp)
            elif lock.WAIT == 3 and (cls := lock.of(k).cls.get(held.subclass)) is not None:
                if cls in self._needs:
                    self._held_across(held, cls)
                elif cls not in self._across:
                    self._across[cls] = k.capture()

    # -- words ------------------------------------------------------------------------------------

    def _held_across(self, held: Held, cls: LockClass) -> None:
        k = self.kernel
        stack = k.capture()
        if self._told_of(cls, stack):
            return
        lines = self._line(k.symbol(stack)), k.lockdep.line(held)
        stacks = {"access": stack, "taken": held.stack, "taken in reclaim": self._needs[cls].stack}
        self._circular(held.lock, cls, lines, ("fs_reclaim", cls.name), stacks)

    def _circular(
        self, lock: Lock, cls: LockClass, lines: tuple[str, str], names: tuple[str, str], stacks: dict[str, Stack]
    ) -> Report | None:
        """Report a cycle. ``lines`` describe, and ``names`` name, the lock to be taken and the one that is held."""
        k = self.kernel
        need = self._needs[cls]
        new, old = names
        lockdep = k.lockdep
        return k.report(
            need.kind,
            "WARNING: possible circular locking dependency detected",
            lines=[
                "------------------------------------------------------",
                f"{k.current!r} is trying to acquire lock:",
                lines[0],
                "but task is already holding lock:",
                lines[1],
                "which lock already depends on the new lock.",
                f"{lock.WORD} {lockdep.describe(lock, cls)} is taken in reclaim, {need.why}:",
                f"   {k.symbol(need.stack)}",
                " Possible unsafe locking scenario:",
                "       CPU0                    CPU1",
                "       ----                    ----",
                f"  lock({old});",
                f"                               lock({new});",
                f"                               lock({old});",
                f"  lock({new});",
                " *** DEADLOCK ***",
                *lockdep.held_lines(k.current),
            ],
            stacks=stacks,
            key=("fs_reclaim", cls),
            object=lockdep.info(lock),
        )

    def _recursive(self, held: Held, gfp: int) -> None:
        """An allocation may enter reclaim where the task says that reclaim waits for it."""
        k = self.kernel
        stack = k.capture()
        if self._told_of(self._mark(), stack):
            return
        k.report(
            "alloc-gfp-fs-in-fs-path",
            "WARNING: possible recursive locking detected",
            lines=[
                "--------------------------------------------",
                f"{k.current!r} is trying to acquire lock:",
                self._line(k.symbol(stack)),
                "but task is already holding lock:",
                k.lockdep.line(held),
                f"gfp: {gfp:#x}({gfp_text(gfp)})",
                *k.lockdep.held_lines(k.current),
            ],
            stacks={"access": stack, "taken": held.stack},
            key=("fs_reclaim", held),
        )

    def _told_of(self, cls: LockClass, stack: Stack) -> bool:
        """Whether the place that is running has been reported last; remember that it will be."""
        here = site(stack)
        if cls in self._told and self._told[cls] == here:
            return True
        self._told[cls] = here
        return False

    def _recursion(self, task: Task, callback: shrinker) -> None:
        k = self.kernel
        headline = f"BUG: kmock: alloc-in-shrinker-recursion in {k.symbol(k.capture())}"
        lines = [f"{task!r} allocates with __GFP_FS inside the reclaim callback {callback}"]
        k.report("alloc-in-shrinker-recursion", headline, lines=lines, key=("shrinker", callback))

    def _mark(self) -> LockClass:
        """Have lockdep note that the map was taken here, and return its class."""
        lockdep = self.kernel.lockdep
        state = self.map.of(self.kernel)
        lockdep.acquire(self.map, state, "fs_reclaim_acquire", read=False, trylock=True, subclass=0)
        return state.cls[0]

    def _line(self, at: str) -> str:
        lockdep = self.kernel.lockdep
        cls = self._mark()
        return f"{lockdep.address(self.map):016x} {lockdep.describe(self.map, cls)}, at: {at}"
