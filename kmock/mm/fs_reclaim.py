"""What reclaim needs, and who holds it while asking for memory (``fs_reclaim`` of ``mm/page_alloc.c``).

An allocation that may reclaim on behalf of file systems can end up in any reclaim callback, and waits there for
what the callback waits for. So a lock that a callback takes must not be held across such an allocation. The two
need not meet: it is enough that each was seen once, in whatever order.

The kernel treats reclaim as one lock, ``fs_reclaim``, which lockdep orders among the others. Code that reclaim calls
without being a shrinker says so with ``fs_reclaim_acquire()``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kmock.kernel.held import Held, lockdep_map
from kmock.kernel.task import PF_MEMALLOC
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM, __GFP_FS, __GFP_NOLOCKDEP, scoped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.mm.vmscan import shrinker
    from kmock.sanitizers.lock_chain import Chain

# Names with two underscores mean something else inside a class.
_MAY_ENTER = __GFP_DIRECT_RECLAIM | __GFP_FS
_FS = __GFP_FS
_NOLOCKDEP = __GFP_NOLOCKDEP


class ReclaimMap(lockdep_map):
    """``__fs_reclaim_map``."""

    __slots__ = ()

    def cycle_kind(self, how: str) -> str:
        """Reclaim's own callbacks are one thing, code that says that reclaim waits for it is another."""
        return "alloc-gfp-fs-in-fs-path" if how == "fs_reclaim_acquire" else "lock-held-across-reclaim"


class FsReclaim:
    """Tells lockdep of allocations that may reclaim, and of what reclaim does."""

    __slots__ = ("_in_shrinker", "kernel", "map")

    def __init__(self, kernel: Kernel, in_shrinker: dict[Task, shrinker]) -> None:
        self.kernel = kernel
        self.map = ReclaimMap("fs_reclaim")
        self._in_shrinker = in_shrinker

    def acquire(self, gfp: int) -> None:
        """``fs_reclaim_acquire()``: from here on the task does what an allocation with ``gfp`` may wait for."""
        if self._may_enter(gfp):
            self._hold("fs_reclaim_acquire")

    def release(self, gfp: int) -> None:
        """``fs_reclaim_release()``."""
        if not self._may_enter(gfp):
            return
        held = next((held for held in reversed(self.kernel.cpu.task.held) if held.lock is self.map), None)
        if held is None:
            self.kernel.lockdep.unlock_imbalance(self.map, "lock-unlock-not-held")
        else:
            held.let_go(self.kernel)

    @contextmanager
    def reclaiming(self) -> Iterator[None]:
        """Run the block as reclaim does a shrinker."""
        if not self._looked_at():
            yield
            return
        held = self._hold("shrink_slab")
        try:
            yield
        finally:
            held.let_go(self.kernel)

    def allocates(self, gfp: int) -> None:
        """The task, which holds locks or is in a reclaim callback, makes an allocation that may sleep."""
        cpu = self.kernel.cpu
        callback = self._in_shrinker.get(cpu.task)
        if callback is not None:
            if scoped(gfp, cpu.task.flags) & _FS:
                self._recursion(cpu.task, callback)
        # In an interrupt the locks are somebody else's; that it may not sleep is the mistake then.
        elif self._may_enter(gfp) and not (cpu.preempt_count or cpu.irqs_off or cpu.task.rcu_depth):
            self._enter()

    def _may_enter(self, gfp: int) -> bool:
        # __need_reclaim()
        flags = self.kernel.cpu.task.flags
        if flags & PF_MEMALLOC or gfp & _NOLOCKDEP or scoped(gfp, flags) & _MAY_ENTER != _MAY_ENTER:
            return False
        return self._looked_at()

    def _looked_at(self) -> bool:
        return self.kernel.config.lockdep and not self.kernel.cpu.task.lockdep_off

    def _enter(self) -> Chain:
        state = self.map.of(self.kernel)
        return self.kernel.lockdep.acquire(self.map, state, read=False, trylock=False)

    def _hold(self, how: str) -> Held:
        held = Held(self.kernel, self.map, read=False, how=how, chain=self._enter())
        held.task.held.append(held)
        return held

    def _recursion(self, task: Task, callback: shrinker) -> None:
        k = self.kernel
        headline = f"BUG: kmock: alloc-in-shrinker-recursion in {k.symbol(k.capture())}"
        lines = [f"{task!r} allocates with __GFP_FS inside the reclaim callback {callback}"]
        k.report("alloc-in-shrinker-recursion", headline, lines=lines, key=("shrinker", callback))
