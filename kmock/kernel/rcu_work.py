"""Work that is queued after an RCU grace period (``struct rcu_work``, ``kernel/workqueue.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from kmock.kernel.rcu import rcu_head
from kmock.kernel.work import work_struct

if TYPE_CHECKING:
    from kmock.kernel.work import workqueue_struct
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation


class rcu_work:
    """``INIT_RCU_WORK()`` makes it usable."""

    __slots__ = ("__weakref__", "rcu", "work")
    C_SIZE: ClassVar[int] = 56
    C_MEMBERS: ClassVar[dict[str, tuple[int, Any]]] = {"work": (0, work_struct), "rcu": (32, rcu_head)}

    def __init__(self) -> None:
        self.work = work_struct()
        self.rcu = rcu_head()

    def memory_freed(self, k: Kernel, allocation: Allocation | None) -> None:
        """The memory that it lies in is being freed."""
        self.rcu.memory_freed(k, allocation)
        self.work.memory_freed(k, allocation)


def queue(k: Kernel, wq: workqueue_struct, rwork: rcu_work) -> bool:
    """``queue_rcu_work()``: False if it is pending already."""
    if rwork.rcu.func is not None or k.workqueues.pending(rwork.work):
        return False
    k.rcu.call(rwork.rcu, lambda head: k.workqueues.queue(wq, rwork.work))
    return True


def flush(k: Kernel, rwork: rcu_work) -> bool:
    """``flush_rcu_work()``: wait until what is queued of it now is over; False if that was nothing."""
    waiting = rwork.rcu.func is not None
    if waiting:
        k.rcu.barrier()
    return k.workqueues.flush(rwork.work) or waiting
