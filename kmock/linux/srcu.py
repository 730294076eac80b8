"""``<linux/srcu.h>``: RCU whose readers may sleep, each user with a ``srcu_struct`` of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import srcu
from kmock.kernel.srcu import srcu_struct
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.rcupdate import rcu_head
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel


def DEFINE_SRCU(name: str) -> srcu_struct:
    """Define an initialised flavour; may run before any kernel is booted."""
    return srcu_struct(name, definition_site())


DEFINE_STATIC_SRCU = DEFINE_SRCU


@api(since="2.6.19", sleeps=Sleeps.ALWAYS, undo="cleanup_srcu_struct")
def init_srcu_struct(k: Kernel, ssp: srcu_struct) -> int:
    """Make a flavour usable: 0."""
    k.lockdep.initialise(ssp)
    return 0


@api(since="2.6.19", sleeps=Sleeps.ALWAYS)
def cleanup_srcu_struct(k: Kernel, ssp: srcu_struct) -> None:
    """Give a flavour up; WARN where somebody reads under it or a callback is pending."""
    srcu.cleanup(k, ssp)


@api(since="2.6.19", undo="srcu_read_unlock")
def srcu_read_lock(k: Kernel, ssp: srcu_struct) -> int:
    """Begin to read under ``ssp``, sleeping allowed: the index that ``srcu_read_unlock()`` wants."""
    return srcu.read_lock(k, ssp)


@api(since="2.6.19")
def srcu_read_unlock(k: Kernel, ssp: srcu_struct, idx: int) -> None:
    """End the section whose ``srcu_read_lock()`` returned ``idx``."""
    srcu.read_unlock(k, ssp, idx)


@api(since="2.6.34")
def srcu_read_lock_held(k: Kernel, ssp: srcu_struct) -> int:
    """Whether the task reads under ``ssp``."""
    return int(srcu.is_held(k, ssp))


@api(since="2.6.34")
def srcu_dereference(k: Kernel, p: Any, ssp: srcu_struct) -> Any:
    """Return the pointer ``p`` that was published with ``rcu_assign_pointer()``; under ``ssp`` only."""
    return srcu.dereference(k, p, ssp)


@api(since="2.6.19", sleeps=Sleeps.ALWAYS)
def synchronize_srcu(k: Kernel, ssp: srcu_struct) -> None:
    """Sleep until every reader under ``ssp`` that there is now is through."""
    srcu.synchronize(k, ssp)


@api(since="2.6.35", sleeps=Sleeps.ALWAYS)
def synchronize_srcu_expedited(k: Kernel, ssp: srcu_struct) -> None:
    """``synchronize_srcu()`` in a hurry."""
    srcu.synchronize(k, ssp)


@api(since="3.5")
def call_srcu(k: Kernel, ssp: srcu_struct, head: rcu_head, func: Callable[[Any], object]) -> None:
    """Have ``func(head)`` called, bottom halves off, once the readers under ``ssp`` that there are now are through."""
    srcu.call(k, ssp, head, func)


@api(since="3.5", sleeps=Sleeps.ALWAYS)
def srcu_barrier(k: Kernel, ssp: srcu_struct) -> None:
    """Sleep until every callback of ``call_srcu()`` was called."""
    srcu.barrier(k, ssp)


__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_SRCU",
    "DEFINE_STATIC_SRCU",
    "call_srcu",
    "cleanup_srcu_struct",
    "init_srcu_struct",
    "rcu_head",
    "srcu_barrier",
    "srcu_dereference",
    "srcu_read_lock",
    "srcu_read_lock_held",
    "srcu_read_unlock",
    "srcu_struct",
    "synchronize_srcu",
    "synchronize_srcu_expedited",
]
