"""``<linux/rcupdate.h>``: readers that take no lock, and updaters that wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import preempt
from kmock.kernel.rcu import RCU_BH, RCU_SCHED, rcu_head
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel


@api(since="2.5.43", undo="rcu_read_unlock")
def rcu_read_lock(k: Kernel) -> None:
    """Begin to read: what is reachable now stays until ``rcu_read_unlock()``. Sleeping is a mistake meanwhile."""
    k.rcu.read_lock()


@api(since="2.5.43")
def rcu_read_unlock(k: Kernel) -> None:
    """End what ``rcu_read_lock()`` began."""
    k.rcu.read_unlock()


@api(since="2.6.7", undo="rcu_read_unlock_bh")
def rcu_read_lock_bh(k: Kernel) -> None:
    """``rcu_read_lock()`` with bottom halves off."""
    preempt.local_bh_disable(k)
    k.rcu.enter(RCU_BH)


@api(since="2.6.7")
def rcu_read_unlock_bh(k: Kernel) -> None:
    """End what ``rcu_read_lock_bh()`` began."""
    if k.rcu.leave(RCU_BH):
        preempt.local_bh_enable(k)


@api(since="2.6.24", undo="rcu_read_unlock_sched")
def rcu_read_lock_sched(k: Kernel) -> None:
    """``rcu_read_lock()`` with preemption off."""
    preempt.preempt_disable(k)
    k.rcu.enter(RCU_SCHED)


@api(since="2.6.24")
def rcu_read_unlock_sched(k: Kernel) -> None:
    """End what ``rcu_read_lock_sched()`` began."""
    if k.rcu.leave(RCU_SCHED):
        preempt.preempt_enable(k)


@api(since="2.6.33")
def rcu_read_lock_held(k: Kernel) -> int:
    """Whether the task is between ``rcu_read_lock()`` and ``rcu_read_unlock()``."""
    return int(k.current.rcu_depth > 0)


@api(since="4.2")
def rcu_preempt_depth(k: Kernel) -> int:
    """How deep the task is in ``rcu_read_lock()``."""
    return k.current.rcu_depth


@api(since="2.5.43", sleeps=Sleeps.ALWAYS)
def synchronize_rcu(k: Kernel) -> None:
    """Sleep until every reader that there is now is through."""
    k.rcu.synchronize()


@api(since="3.12", sleeps=Sleeps.ALWAYS)
def synchronize_rcu_expedited(k: Kernel) -> None:
    """``synchronize_rcu()`` in a hurry."""
    k.rcu.synchronize("synchronize_rcu_expedited")


@api(since="2.6.13", until="5.1", replaced_by="synchronize_rcu", sleeps=Sleeps.ALWAYS)
def synchronize_sched(k: Kernel) -> None:
    """Sleep until every processor was out of what it had preemption off for."""
    k.rcu.synchronize("synchronize_sched")


@api(since="2.5.43")
def call_rcu(k: Kernel, head: rcu_head, func: Callable[[Any], object]) -> None:
    """Have ``func(head)`` called in softirq context once every reader that there is now is through."""
    k.rcu.call(head, func)


@api(since="2.6.17", sleeps=Sleeps.ALWAYS)
def rcu_barrier(k: Kernel) -> None:
    """Sleep until every callback of ``call_rcu()`` was called: before a module goes."""
    k.rcu.barrier()


@api(since="2.6.39")
def kfree_rcu(k: Kernel, ptr: Any, rhf: Any = None) -> None:
    """``kfree()`` what ``ptr`` points to after a grace period; ``rhf`` names the rcu_head in it."""
    k.rcu.kfree(ptr)


@api(since="2.6.34")
def rcu_assign_pointer(k: Kernel, obj: Any, name: str, v: Any) -> Any:
    """Publish ``v`` as ``obj.name``; C's first argument is the lvalue."""
    k.rcu.pointers.publish(v)
    setattr(obj, name, v)
    return v


@api(since="2.6.38")
def RCU_INIT_POINTER(k: Kernel, obj: Any, name: str, v: Any) -> None:
    """Set ``obj.name`` where no reader can see what ``v`` points to in the making: NULL, or before publication."""
    k.rcu.pointers.publish(v)
    setattr(obj, name, v)


@api(since="5.5")
def rcu_replace_pointer(k: Kernel, obj: Any, name: str, ptr: Any, c: Any) -> Any:
    """Publish ``ptr`` as ``obj.name``; what was there comes back. ``c`` says whether the updater's lock is held."""
    old = rcu_dereference_protected(getattr(obj, name), c)
    rcu_assign_pointer(obj, name, ptr)
    return old


@api(since="2.5.69")
def rcu_dereference(k: Kernel, p: Any) -> Any:
    """Return the pointer ``p`` that was published with ``rcu_assign_pointer()``; between lock and unlock only."""
    if not (k.current.rcu_depth or k.cpu.preempt_count or k.cpu.irqs_off):
        k.rcu.outside("rcu_dereference_check")
    k.rcu.pointers.fetch(p)
    return p


@api(since="2.6.34")
def rcu_dereference_check(k: Kernel, p: Any, c: Any) -> Any:
    """``rcu_dereference()`` for readers, and for updaters where ``c`` says that they hold the lock."""
    return p if c else rcu_dereference(p)


@api(since="2.6.34")
def rcu_dereference_raw(k: Kernel, p: Any) -> Any:
    """``rcu_dereference()``, unchecked."""
    return p


@api(since="2.6.34")
def rcu_dereference_protected(k: Kernel, p: Any, c: Any) -> Any:
    """Return ``p`` for an updater; ``c`` says whether it holds the lock that keeps others away."""
    if not c:
        k.rcu.outside("rcu_dereference_protected")
    return p


@api(since="2.6.37")
def rcu_access_pointer(k: Kernel, p: Any) -> Any:
    """Return ``p`` for a test of its value; nothing is read through it."""
    return p


__getattr__ = header_getattr(__name__)
__all__ = [
    "RCU_INIT_POINTER",
    "call_rcu",
    "kfree_rcu",
    "rcu_access_pointer",
    "rcu_assign_pointer",
    "rcu_barrier",
    "rcu_dereference",
    "rcu_dereference_check",
    "rcu_dereference_protected",
    "rcu_dereference_raw",
    "rcu_head",
    "rcu_preempt_depth",
    "rcu_read_lock",
    "rcu_read_lock_bh",
    "rcu_read_lock_held",
    "rcu_read_lock_sched",
    "rcu_read_unlock",
    "rcu_read_unlock_bh",
    "rcu_read_unlock_sched",
    "rcu_replace_pointer",
    "synchronize_rcu",
    "synchronize_rcu_expedited",
    "synchronize_sched",
]
