"""``<linux/kref.h>``: counting references to an object, and releasing it with the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import mutex as _mutex
from kmock.kernel import refcount as _refcount
from kmock.kernel.refcount import kref
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.mutex import mutex
    from kmock.machine import Kernel


def KREF_INIT(n: int) -> kref:
    """Define a reference count that starts at ``n``."""
    return kref(n)


@api(since="2.6.5")
def kref_init(k: Kernel, kref: kref) -> None:
    """The first reference."""
    kref.refcount.of(k).value = 1


@api(since="4.11")
def kref_read(k: Kernel, kref: kref) -> int:
    """How many references there are."""
    return kref.refcount.of(k).value & 0xFFFFFFFF


@api(since="2.6.5", undo="kref_put")
def kref_get(k: Kernel, kref: kref) -> None:
    """One more reference, by who has one."""
    _refcount.add(k, 1, kref.refcount)


@api(since="2.6.5")
def kref_put(k: Kernel, kref: kref, release: Callable[[Any], object]) -> int:
    """Give a reference back: 1 if it was the last, and ``release(kref)`` was called."""
    return _refcount.put(k, kref, release)


@api(since="3.13", sleeps=Sleeps.ALWAYS)
def kref_put_mutex(k: Kernel, kref: kref, release: Callable[[Any], object], lock: mutex) -> int:
    """``kref_put()`` that calls ``release`` with ``lock`` held, which ``release`` gives back."""
    if _refcount.dec_not_one(k, kref.refcount):
        return 0
    _mutex.lock(k, lock)
    if _refcount.put(k, kref, release):
        return 1
    _mutex.unlock(k, lock)
    return 0


@api(since="3.8", undo="kref_put")
def kref_get_unless_zero(k: Kernel, kref: kref) -> int:
    """One more reference, unless the last is gone: whether."""
    return int(_refcount.add_not_zero(k, 1, kref.refcount))


__getattr__ = header_getattr(__name__)
__all__ = [
    "KREF_INIT",
    "kref",
    "kref_get",
    "kref_get_unless_zero",
    "kref_init",
    "kref_put",
    "kref_put_mutex",
    "kref_read",
]
