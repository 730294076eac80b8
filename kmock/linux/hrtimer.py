"""``<linux/hrtimer.h>``: timers in nanoseconds, whose function runs in hard interrupt context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.hrtimer import (
    HRTIMER_MODE_ABS,
    HRTIMER_MODE_HARD,
    HRTIMER_MODE_PINNED,
    HRTIMER_MODE_REL,
    HRTIMER_MODE_SOFT,
    HRTIMER_NORESTART,
    HRTIMER_RESTART,
    hrtimer,
)
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.ktime import ktime_get, ktime_set, ms_to_ktime, ns_to_ktime

if TYPE_CHECKING:
    from kmock.machine import Kernel

CLOCK_REALTIME = 0
CLOCK_MONOTONIC = 1
CLOCK_BOOTTIME = 7
HRTIMER_MODE_ABS_PINNED = HRTIMER_MODE_ABS | HRTIMER_MODE_PINNED
HRTIMER_MODE_REL_PINNED = HRTIMER_MODE_REL | HRTIMER_MODE_PINNED
HRTIMER_MODE_ABS_SOFT = HRTIMER_MODE_ABS | HRTIMER_MODE_SOFT
HRTIMER_MODE_REL_SOFT = HRTIMER_MODE_REL | HRTIMER_MODE_SOFT
HRTIMER_MODE_ABS_HARD = HRTIMER_MODE_ABS | HRTIMER_MODE_HARD
HRTIMER_MODE_REL_HARD = HRTIMER_MODE_REL | HRTIMER_MODE_HARD


@api(since="2.6.16")
def hrtimer_init(k: Kernel, timer: hrtimer, which_clock: int, mode: int) -> None:
    """Initialise a timer; its ``function`` is set afterwards. Every clock counts from boot here."""
    k.hrtimers.init(timer, mode)


@api(since="2.6.16")
def hrtimer_start(k: Kernel, timer: hrtimer, tim: int, mode: int) -> None:
    """Start a timer for ``tim`` nanoseconds, from boot or from now; one that is queued is moved."""
    k.hrtimers.start(timer, tim, mode)


@api(since="2.6.28")
def hrtimer_start_range_ns(k: Kernel, timer: hrtimer, tim: int, range_ns: int, mode: int) -> None:
    """``hrtimer_start()`` that may be late by ``range_ns``; here it isn't."""
    k.hrtimers.start(timer, tim, mode)


@api(since="2.6.28")
def hrtimer_restart(k: Kernel, timer: hrtimer) -> None:
    """Start a timer for the time it has."""
    k.hrtimers.start(timer, timer.of(k).expires, HRTIMER_MODE_ABS)


@api(since="2.6.16")
def hrtimer_cancel(k: Kernel, timer: hrtimer) -> int:
    """Stop a timer and wait for its function: 1 if it was queued."""
    return k.hrtimers.cancel(timer)


@api(since="2.6.16")
def hrtimer_try_to_cancel(k: Kernel, timer: hrtimer) -> int:
    """Stop a timer unless its function runs: 1, 0 if it was not queued, -1 if it runs."""
    return k.hrtimers.try_to_cancel(timer)


@api(since="2.6.16")
def hrtimer_forward(k: Kernel, timer: hrtimer, now: int, interval: int) -> int:
    """Move a timer behind ``now`` by whole intervals: how many."""
    return k.hrtimers.forward(timer, now, interval)


@api(since="2.6.26")
def hrtimer_forward_now(k: Kernel, timer: hrtimer, interval: int) -> int:
    """``hrtimer_forward()`` behind the time it is."""
    return k.hrtimers.forward(timer, k.clock.now, interval)


@api(since="2.6.16")
def hrtimer_active(k: Kernel, timer: hrtimer) -> bool:
    """Whether a timer is queued or its function runs."""
    state = timer.of(k)
    return state.timeout is not None or state.running


@api(since="2.6.28")
def hrtimer_is_queued(k: Kernel, timer: hrtimer) -> bool:
    """Whether a timer is queued."""
    return timer.of(k).timeout is not None


@api(since="2.6.28")
def hrtimer_callback_running(k: Kernel, timer: hrtimer) -> bool:
    """Whether a timer's function runs."""
    return timer.of(k).running


@api(since="2.6.16")
def hrtimer_get_remaining(k: Kernel, timer: hrtimer) -> int:
    """Nanoseconds until a timer is due."""
    return timer.of(k).expires - k.clock.now


@api(since="2.6.28")
def hrtimer_get_expires(k: Kernel, timer: hrtimer) -> int:
    """When a timer is due."""
    return timer.of(k).expires


@api(since="2.6.28")
def hrtimer_set_expires(k: Kernel, timer: hrtimer, time: int) -> None:
    """Set when a timer that is not queued will be due."""
    timer.of(k).expires = time


__getattr__ = header_getattr(__name__)
__all__ = [
    "CLOCK_BOOTTIME",
    "CLOCK_MONOTONIC",
    "CLOCK_REALTIME",
    "HRTIMER_MODE_ABS",
    "HRTIMER_MODE_ABS_HARD",
    "HRTIMER_MODE_ABS_PINNED",
    "HRTIMER_MODE_ABS_SOFT",
    "HRTIMER_MODE_HARD",
    "HRTIMER_MODE_PINNED",
    "HRTIMER_MODE_REL",
    "HRTIMER_MODE_REL_HARD",
    "HRTIMER_MODE_REL_PINNED",
    "HRTIMER_MODE_REL_SOFT",
    "HRTIMER_MODE_SOFT",
    "HRTIMER_NORESTART",
    "HRTIMER_RESTART",
    "hrtimer",
    "hrtimer_active",
    "hrtimer_callback_running",
    "hrtimer_cancel",
    "hrtimer_forward",
    "hrtimer_forward_now",
    "hrtimer_get_expires",
    "hrtimer_get_remaining",
    "hrtimer_init",
    "hrtimer_is_queued",
    "hrtimer_restart",
    "hrtimer_set_expires",
    "hrtimer_start",
    "hrtimer_start_range_ns",
    "hrtimer_try_to_cancel",
    "ktime_get",
    "ktime_set",
    "ms_to_ktime",
    "ns_to_ktime",
]
