"""``<linux/ktime.h>``: time in nanoseconds, which is what a ``ktime_t`` is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel

NSEC_PER_SEC = 1_000_000_000
NSEC_PER_MSEC = 1_000_000
NSEC_PER_USEC = 1_000
KTIME_MAX = (1 << 63) - 1


@api(since="2.6.16")
def ktime_get(k: Kernel) -> int:
    """Nanoseconds since boot."""
    return k.clock.now


@api(since="3.17")
def ktime_get_ns(k: Kernel) -> int:
    """Nanoseconds since boot."""
    return k.clock.now


def ktime_set(secs: int, nsecs: int) -> int:
    """Return that many seconds and nanoseconds."""
    return min(secs * NSEC_PER_SEC + nsecs, KTIME_MAX)


def ns_to_ktime(ns: int) -> int:
    """Return nanoseconds as a time."""
    return ns


def us_to_ktime(us: int) -> int:
    """Return microseconds as a time."""
    return us * NSEC_PER_USEC


def ms_to_ktime(ms: int) -> int:
    """Return milliseconds as a time."""
    return ms * NSEC_PER_MSEC


def ktime_to_ns(kt: int) -> int:
    """Return a time in nanoseconds."""
    return kt


def ktime_to_us(kt: int) -> int:
    """Return a time in whole microseconds."""
    return kt // NSEC_PER_USEC


def ktime_to_ms(kt: int) -> int:
    """Return a time in whole milliseconds."""
    return kt // NSEC_PER_MSEC


def ktime_add(lhs: int, rhs: int) -> int:
    """Return the sum of two times."""
    return lhs + rhs


def ktime_add_ns(kt: int, nsval: int) -> int:
    """Return a time that many nanoseconds later."""
    return kt + nsval


def ktime_sub(lhs: int, rhs: int) -> int:
    """Return the difference of two times."""
    return lhs - rhs


def ktime_compare(cmp1: int, cmp2: int) -> int:
    """Return -1, 0 or 1."""
    return (cmp1 > cmp2) - (cmp1 < cmp2)


def ktime_after(cmp1: int, cmp2: int) -> bool:
    """Whether ``cmp1`` is after ``cmp2``."""
    return cmp1 > cmp2


def ktime_before(cmp1: int, cmp2: int) -> bool:
    """Whether ``cmp1`` is before ``cmp2``."""
    return cmp1 < cmp2


__getattr__ = header_getattr(__name__)
__all__ = [
    "KTIME_MAX",
    "NSEC_PER_MSEC",
    "NSEC_PER_SEC",
    "NSEC_PER_USEC",
    "ktime_add",
    "ktime_add_ns",
    "ktime_after",
    "ktime_before",
    "ktime_compare",
    "ktime_get",
    "ktime_get_ns",
    "ktime_set",
    "ktime_sub",
    "ktime_to_ms",
    "ktime_to_ns",
    "ktime_to_us",
    "ms_to_ktime",
    "ns_to_ktime",
    "us_to_ktime",
]
