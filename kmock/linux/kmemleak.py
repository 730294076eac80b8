"""``<linux/kmemleak.h>``: what a driver can tell the leak detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.ptr import NULL
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.sanitizers.object import SCAN_IGNORE, SCAN_NO_SCAN, SCAN_NOT_LEAK

if TYPE_CHECKING:
    from kmock.lang.views import PtrView
    from kmock.machine import Kernel


@api(since="2.6.31", undo="kmemleak_free")
def kmemleak_alloc(k: Kernel, ptr: int, size: int, min_count: int, gfp: int) -> None:
    """Track memory that no allocator told of; it is a leak while fewer than ``min_count`` pointers lead to it."""
    k.kmemleak.alloc(ptr, size, min_count)


@api(since="2.6.31")
def kmemleak_free(k: Kernel, ptr: int) -> None:
    """Forget memory that kmemleak_alloc() told of."""
    k.kmemleak.free(ptr)


@api(since="2.6.31")
def kmemleak_not_leak(k: Kernel, ptr: int) -> None:
    """Never report an object, and take what it points to as referenced."""
    k.kmemleak.annotate(ptr, SCAN_NOT_LEAK)


@api(since="2.6.31")
def kmemleak_ignore(k: Kernel, ptr: int) -> None:
    """Never report an object, nor look into it."""
    k.kmemleak.annotate(ptr, SCAN_IGNORE)


@api(since="2.6.31")
def kmemleak_scan_area(k: Kernel, ptr: int, size: int, gfp: int) -> None:
    """Look for pointers in ``size`` bytes at ``ptr`` only, within an object."""
    k.kmemleak.scan_area(ptr, size)


@api(since="2.6.31")
def kmemleak_no_scan(k: Kernel, ptr: int) -> None:
    """Look for no pointers in an object."""
    k.kmemleak.annotate(ptr, SCAN_NO_SCAN)


@api(since="2.6.31")
def kmemleak_erase(k: Kernel, place: Any, index: int = 0) -> None:
    """Clear a pointer so that it does not count: C's ``kmemleak_erase(&p->member)`` takes ``p.ptr`` and an index.

    A list stands for an array of pointers that are Python variables.
    """
    _erase(place, index)


def _erase(place: PtrView | list[Any], index: int) -> None:
    place[index] = NULL


__getattr__ = header_getattr(
    __name__,
    {
        "kmemleak_alloc_percpu",
        "kmemleak_alloc_phys",
        "kmemleak_free_part",
        "kmemleak_ignore_phys",
        "kmemleak_transient_leak",
        "kmemleak_update_trace",
        "kmemleak_vmalloc",
    },
)
__all__ = [
    "kmemleak_alloc",
    "kmemleak_erase",
    "kmemleak_free",
    "kmemleak_ignore",
    "kmemleak_no_scan",
    "kmemleak_not_leak",
    "kmemleak_scan_area",
]
