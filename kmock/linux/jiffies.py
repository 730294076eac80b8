"""``<linux/jiffies.h>``: time in ticks. The variable ``jiffies`` is a call here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.current import current
from kmock.kernel import time
from kmock.kernel.time import MAX_JIFFY_OFFSET
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel

DEFAULT_HZ = 250
_LONG = 1 << 63
_U64 = 1 << 64


@api(since="1.0")
def jiffies(k: Kernel) -> int:
    """Ticks since boot, from five minutes before the 32-bit counter wraps."""
    return k.clock.jiffies % (1 << k.layout.bits)


@api(since="2.5.40")
def get_jiffies_64(k: Kernel) -> int:
    """Ticks since boot, in 64 bits."""
    return k.clock.jiffies


@api(since="2.5.0")
def msecs_to_jiffies(k: Kernel, m: int) -> int:
    """Milliseconds in ticks, rounded up."""
    return time.msecs_to_jiffies(m, k.config.hz)


@api(since="2.6.10")
def usecs_to_jiffies(k: Kernel, u: int) -> int:
    """Microseconds in ticks, rounded up."""
    return time.usecs_to_jiffies(u, k.config.hz)


@api(since="4.4")
def nsecs_to_jiffies(k: Kernel, n: int) -> int:
    """Nanoseconds in ticks, rounded down."""
    return time.nsecs_to_jiffies(n, k.config.hz)


@api(since="2.5.0")
def jiffies_to_msecs(k: Kernel, j: int) -> int:
    """Ticks in milliseconds, rounded up."""
    return -(-j * 1000 // k.config.hz)


@api(since="2.6.10")
def jiffies_to_usecs(k: Kernel, j: int) -> int:
    """Ticks in microseconds, rounded up."""
    return -(-j * 1_000_000 // k.config.hz)


@api(since="5.13")
def secs_to_jiffies(k: Kernel, s: int) -> int:
    """Seconds in ticks."""
    return s * k.config.hz


def time_after(a: int, b: int) -> int:
    """Whether ``a`` is after ``b``, whatever wrapped in between."""
    return int((b - a) % _U64 >= _LONG)


def time_before(a: int, b: int) -> int:
    """Whether ``a`` is before ``b``."""
    return time_after(b, a)


def time_after_eq(a: int, b: int) -> int:
    """Whether ``a`` is after ``b`` or the same."""
    return int((a - b) % _U64 < _LONG)


def time_before_eq(a: int, b: int) -> int:
    """Whether ``a`` is before ``b`` or the same."""
    return time_after_eq(b, a)


def time_in_range(a: int, b: int, c: int) -> int:
    """Whether ``a`` is in ``[b, c]``."""
    return int(time_after_eq(a, b) and time_before_eq(a, c))


_unknown = header_getattr(__name__)

if TYPE_CHECKING:
    HZ: int
    """Ticks in a second."""


def __getattr__(name: str) -> Any:
    # A constant of the kernel that a driver is compiled for: here the one that runs when the driver is loaded.
    if name == "HZ":
        return current.kernel.config.hz if current.kernel is not None else DEFAULT_HZ
    return _unknown(name)


__all__ = [
    "HZ",
    "MAX_JIFFY_OFFSET",
    "get_jiffies_64",
    "jiffies",
    "jiffies_to_msecs",
    "jiffies_to_usecs",
    "msecs_to_jiffies",
    "nsecs_to_jiffies",
    "secs_to_jiffies",
    "time_after",
    "time_after_eq",
    "time_before",
    "time_before_eq",
    "time_in_range",
    "usecs_to_jiffies",
]
