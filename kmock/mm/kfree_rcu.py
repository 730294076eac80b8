"""``kfree_rcu()``: memory that goes when its readers have gone (``kernel/rcu/tree.c``, ``kvfree_call_rcu()``).

Objects are gathered for five seconds, and freed together after a grace period that begins then: that is why
``rcu_barrier()`` does not wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.lang.ptr import make_ptr
from kmock.mm import util
from kmock.sanitizers.object import SCAN_HELD, Allocation, FailedAllocation
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.stack import Stack

DRAIN_SECONDS: Final = 5
"""KFREE_DRAIN_JIFFIES."""


class KfreeRcu:
    """What waits to be freed on one machine."""

    __slots__ = ("_batch", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._batch: list[tuple[Allocation, Stack]] = []

    def add(self, ptr: Ptr) -> None:
        """Free the memory at ``ptr``, from kmalloc() or vmalloc(), after a grace period; NULL is nothing to do."""
        k = self.kernel
        if not ptr:
            return
        about = ptr.origin
        if about is None or isinstance(about, FailedAllocation):
            about = k.mem.owner(ptr)
        if about is None or not about.live or about.seq in k.slab.pending_rcu:
            # Freed or given up already: as bad as a second kfree(), which says so.
            k.slab.kfree(ptr)
            return
        about.scan |= SCAN_HELD
        k.slab.pending_rcu.add(about.seq)
        k.slab.claim(about, "kfree_rcu")
        if not self._batch:
            k.sched.timeouts.arm(k.clock.now + DRAIN_SECONDS * 1_000_000_000, self._monitor)
        self._batch.append((about, capture(3)))

    def _monitor(self) -> None:
        batch, self._batch = self._batch, []
        self.kernel.rcu.after_grace_period(lambda: self._free(batch))

    def _free(self, batch: list[tuple[Allocation, Stack]]) -> None:
        k = self.kernel
        for about, stack in batch:
            k.slab.pending_rcu.discard(about.seq)
            k.slab.disclaim(about)
            if about.live:
                util.kvfree(k, make_ptr(about.addr, about))
                about.free_stack = stack
