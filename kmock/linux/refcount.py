"""``<linux/refcount.h>``: reference counts that notice misuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import mutex as _mutex
from kmock.kernel import refcount as _refcount
from kmock.kernel import spinlock as _spinlock
from kmock.kernel.refcount import REFCOUNT_SATURATED, refcount_t
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.kernel.held import Lock
    from kmock.kernel.mutex import mutex
    from kmock.kernel.preempt import Flags
    from kmock.machine import Kernel


def REFCOUNT_INIT(n: int) -> refcount_t:
    """Define a counter that starts at ``n``; may run before any kernel is booted."""
    return refcount_t(n)


@api(since="4.11")
def refcount_set(k: Kernel, r: refcount_t, n: int) -> None:
    """Give the counter its first value."""
    r.of(k).value = _refcount.wrap(n)


@api(since="4.11")
def refcount_read(k: Kernel, r: refcount_t) -> int:
    """The counter's value, as C's unsigned int."""
    return r.of(k).value & 0xFFFFFFFF


@api(since="4.11")
def refcount_inc(k: Kernel, r: refcount_t) -> None:
    """One more; from 0 that is a use after the last one was given back."""
    _refcount.add(k, 1, r)


@api(since="4.11")
def refcount_add(k: Kernel, i: int, r: refcount_t) -> None:
    """``i`` more; not from 0."""
    _refcount.add(k, i, r)


@api(since="4.11")
def refcount_inc_not_zero(k: Kernel, r: refcount_t) -> bool:
    """One more, unless it is 0: whether."""
    return _refcount.add_not_zero(k, 1, r)


@api(since="4.11")
def refcount_add_not_zero(k: Kernel, i: int, r: refcount_t) -> bool:
    """``i`` more, unless it is 0: whether."""
    return _refcount.add_not_zero(k, i, r)


@api(since="4.11")
def refcount_dec(k: Kernel, r: refcount_t) -> None:
    """One less, which must not be the last."""
    _refcount.dec(k, r)


@api(since="4.11")
def refcount_dec_and_test(k: Kernel, r: refcount_t) -> bool:
    """One less: whether it was the last."""
    return _refcount.sub_and_test(k, 1, r)


@api(since="4.11")
def refcount_sub_and_test(k: Kernel, i: int, r: refcount_t) -> bool:
    """``i`` less: whether none is left."""
    return _refcount.sub_and_test(k, i, r)


@api(since="4.11")
def refcount_dec_if_one(k: Kernel, r: refcount_t) -> bool:
    """From 1 to 0, if it is 1: whether."""
    return _refcount.dec_if_one(k, r)


@api(since="4.11")
def refcount_dec_not_one(k: Kernel, r: refcount_t) -> bool:
    """One less, unless it is 1: whether."""
    return _refcount.dec_not_one(k, r)


@api(since="4.11", sleeps=Sleeps.ALWAYS, undo="mutex_unlock", sleeper="sleep-conditionally-in-atomic")
def refcount_dec_and_mutex_lock(k: Kernel, r: refcount_t, lock: mutex) -> bool:
    """One less: whether it was the last, and then ``lock`` is held."""
    if _refcount.dec_not_one(k, r):
        return False
    _mutex.lock(k, lock)
    if _refcount.sub_and_test(k, 1, r):
        return True
    _mutex.unlock(k, lock)
    return False


@api(since="4.11", undo="spin_unlock")
def refcount_dec_and_lock(k: Kernel, r: refcount_t, lock: Lock) -> bool:
    """One less: whether it was the last, and then ``lock`` is held."""
    if _refcount.dec_not_one(k, r):
        return False
    _spinlock.lock(k, lock, "spin_lock")
    if _refcount.sub_and_test(k, 1, r):
        return True
    _spinlock.unlock(k, lock, "spin_unlock")
    return False


@api(since="4.19", undo="spin_unlock_irqrestore")
def refcount_dec_and_lock_irqsave(k: Kernel, r: refcount_t, lock: Lock) -> tuple[bool, Flags | int]:
    """``refcount_dec_and_lock()`` with interrupts off: whether it was the last, and the flags."""
    if _refcount.dec_not_one(k, r):
        return False, 0
    flags = _spinlock.lock_irqsave(k, lock, "spin_lock_irqsave")
    if _refcount.sub_and_test(k, 1, r):
        return True, flags
    _spinlock.unlock_irqrestore(k, lock, flags, "spin_unlock_irqrestore")
    return False, flags


__getattr__ = header_getattr(__name__)
__all__ = [
    "REFCOUNT_INIT",
    "REFCOUNT_SATURATED",
    "refcount_add",
    "refcount_add_not_zero",
    "refcount_dec",
    "refcount_dec_and_lock",
    "refcount_dec_and_lock_irqsave",
    "refcount_dec_and_mutex_lock",
    "refcount_dec_and_test",
    "refcount_dec_if_one",
    "refcount_dec_not_one",
    "refcount_inc",
    "refcount_inc_not_zero",
    "refcount_read",
    "refcount_set",
    "refcount_sub_and_test",
    "refcount_t",
]
