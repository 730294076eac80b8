"""``<linux/percpu-refcount.h>``: reference counts that every processor keeps for itself until they are killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.mm import percpu_ref as _ref
from kmock.mm.percpu_ref import (
    PERCPU_REF_ALLOW_REINIT,
    PERCPU_REF_INIT_ATOMIC,
    PERCPU_REF_INIT_DEAD,
    percpu_ref,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel


@api(since="3.11", sleeps=Sleeps.GFP, undo="percpu_ref_exit", fails=True)
def percpu_ref_init(k: Kernel, ref: percpu_ref, release: Callable[[percpu_ref], object], flags: int, gfp: int) -> int:
    """Begin with one reference, which :func:`percpu_ref_kill` drops; the last one calls ``release(ref)``. 0, or -ENOMEM."""
    return _ref.init(k, ref, release, flags, gfp)


@api(since="3.16")
def percpu_ref_exit(k: Kernel, ref: percpu_ref) -> None:
    """Give the counters back."""
    _ref.leave(k, ref)


@api(since="3.11", undo="percpu_ref_put")
def percpu_ref_get(k: Kernel, ref: percpu_ref) -> None:
    """Take a reference; somebody has to hold one already."""
    _ref.get(k, ref, 1)


@api(since="4.6", undo="percpu_ref_put_many")
def percpu_ref_get_many(k: Kernel, ref: percpu_ref, nr: int) -> None:
    """Take ``nr`` references; somebody has to hold one already."""
    _ref.get(k, ref, nr)


@api(since="3.13", undo="percpu_ref_put", fails=True)
def percpu_ref_tryget(k: Kernel, ref: percpu_ref) -> bool:
    """Take a reference unless none is left; return whether it was taken."""
    return _ref.tryget(k, ref, 1)


@api(since="5.10", undo="percpu_ref_put_many", fails=True)
def percpu_ref_tryget_many(k: Kernel, ref: percpu_ref, nr: int) -> bool:
    """Take ``nr`` references unless none is left; return whether they were taken."""
    return _ref.tryget(k, ref, nr)


@api(since="3.16", undo="percpu_ref_put", fails=True)
def percpu_ref_tryget_live(k: Kernel, ref: percpu_ref) -> bool:
    """Take a reference unless the count was killed; return whether it was taken."""
    return _ref.tryget(k, ref, 1, live=True)


@api(since="5.16", undo="percpu_ref_put", fails=True)
def percpu_ref_tryget_live_rcu(k: Kernel, ref: percpu_ref) -> bool:
    """:func:`percpu_ref_tryget_live` by somebody who is in an RCU read section."""
    if not k.current.rcu_depth:
        k.rcu.outside("rcu_read_lock_held")
    return _ref.tryget(k, ref, 1, live=True)


@api(since="3.11")
def percpu_ref_put(k: Kernel, ref: percpu_ref) -> None:
    """Give a reference back; the last one after :func:`percpu_ref_kill` calls the release function."""
    _ref.put(k, ref, 1)


@api(since="4.6")
def percpu_ref_put_many(k: Kernel, ref: percpu_ref, nr: int) -> None:
    """Give ``nr`` references back."""
    _ref.put(k, ref, nr)


@api(since="3.11")
def percpu_ref_kill(k: Kernel, ref: percpu_ref) -> None:
    """Refuse new live references, drop the first one, and count in one place from now on."""
    _ref.kill(k, ref, None)


@api(since="3.11")
def percpu_ref_kill_and_confirm(
    k: Kernel, ref: percpu_ref, confirm_kill: Callable[[percpu_ref], object] | None
) -> None:
    """:func:`percpu_ref_kill` that calls ``confirm_kill(ref)`` once no processor takes live references any more."""
    _ref.kill(k, ref, confirm_kill)


@api(since="3.18")
def percpu_ref_switch_to_atomic(
    k: Kernel, ref: percpu_ref, confirm_switch: Callable[[percpu_ref], object] | None
) -> None:
    """Count in one place; ``confirm_switch(ref)`` is called once every processor does."""
    _ref.switch_to_atomic(k, ref, confirm_switch)


@api(since="4.13", sleeps=Sleeps.ALWAYS)
def percpu_ref_switch_to_atomic_sync(k: Kernel, ref: percpu_ref) -> None:
    """Count in one place, and sleep until every processor does."""
    _ref.switch_to_atomic(k, ref, None)
    _ref.settle(k, ref)


@api(since="3.18")
def percpu_ref_switch_to_percpu(k: Kernel, ref: percpu_ref) -> None:
    """Let every processor count for itself; only with PERCPU_REF_ALLOW_REINIT."""
    _ref.switch_to_percpu(k, ref)


@api(since="3.16")
def percpu_ref_reinit(k: Kernel, ref: percpu_ref) -> None:
    """Begin anew with one reference; none may be left."""
    _ref.reinit(k, ref)


@api(since="4.20")
def percpu_ref_resurrect(k: Kernel, ref: percpu_ref) -> None:
    """Undo :func:`percpu_ref_kill`; others may hold references still."""
    _ref.resurrect(k, ref)


@api(since="4.8")
def percpu_ref_is_dying(k: Kernel, ref: percpu_ref) -> bool:
    """Return whether the count was killed."""
    return ref.dead


@api(since="3.16")
def percpu_ref_is_zero(k: Kernel, ref: percpu_ref) -> bool:
    """Return whether it is known that no reference is left."""
    return _ref.is_zero(ref)


__getattr__ = header_getattr(__name__)
__all__ = [
    "PERCPU_REF_ALLOW_REINIT",
    "PERCPU_REF_INIT_ATOMIC",
    "PERCPU_REF_INIT_DEAD",
    "percpu_ref",
    "percpu_ref_exit",
    "percpu_ref_get",
    "percpu_ref_get_many",
    "percpu_ref_init",
    "percpu_ref_is_dying",
    "percpu_ref_is_zero",
    "percpu_ref_kill",
    "percpu_ref_kill_and_confirm",
    "percpu_ref_put",
    "percpu_ref_put_many",
    "percpu_ref_reinit",
    "percpu_ref_resurrect",
    "percpu_ref_switch_to_atomic",
    "percpu_ref_switch_to_atomic_sync",
    "percpu_ref_switch_to_percpu",
    "percpu_ref_tryget",
    "percpu_ref_tryget_live",
    "percpu_ref_tryget_live_rcu",
    "percpu_ref_tryget_many",
]
