"""``might_alloc()``: what every allocator asks before it allocates (``include/linux/sched/mm.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.mm.gfp import __GFP_DIRECT_RECLAIM

if TYPE_CHECKING:
    from kmock.machine import Kernel

_PLACE: Final = "include/linux/sched/mm.h:274"


def might_alloc(k: Kernel, gfp: int, kind: str = "sleep-in-atomic") -> None:
    """Report an allocation that may sleep or reclaim where it must not; sleeping is of ``kind``."""
    if not gfp & __GFP_DIRECT_RECLAIM:
        return
    cpu = k.cpu
    task = cpu.task
    if cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block:
        k.atomic_sleep.might_sleep(_PLACE, kind)
    if task.held or k.page_alloc.in_shrinker:
        k.page_alloc.fs_reclaim.allocates(gfp)
