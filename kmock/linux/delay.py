"""``<linux/delay.h>``: letting time pass, asleep or busy. All of it is virtual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE
from kmock.kernel.time import NSEC_PER_MSEC, NSEC_PER_USEC, msecs_to_jiffies
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.6.0", sleeps=Sleeps.ALWAYS)
def msleep(k: Kernel, msecs: int) -> None:
    """Sleep for at least ``msecs`` milliseconds, in whole jiffies."""
    _counts(k, "msleep")
    left = msecs_to_jiffies(msecs, k.config.hz) + 1
    while left:
        k.current.state = TASK_UNINTERRUPTIBLE
        left = k.sched.schedule_timeout(left)


@api(since="2.6.9", sleeps=Sleeps.ALWAYS)
def msleep_interruptible(k: Kernel, msecs: int) -> int:
    """``msleep()`` that a signal ends: the milliseconds left."""
    left = msecs_to_jiffies(msecs, k.config.hz) + 1
    while left and not k.current.signal:
        k.current.state = TASK_INTERRUPTIBLE
        left = k.sched.schedule_timeout(left)
    return left * 1000 // k.config.hz


@api(since="2.6.10", sleeps=Sleeps.ALWAYS)
def ssleep(k: Kernel, seconds: int) -> None:
    """Sleep for at least ``seconds``."""
    _counts(k, "ssleep")
    left = msecs_to_jiffies(seconds * 1000, k.config.hz) + 1
    while left:
        k.current.state = TASK_UNINTERRUPTIBLE
        left = k.sched.schedule_timeout(left)


@api(since="2.6.36", sleeps=Sleeps.ALWAYS)
def usleep_range(k: Kernel, min: int, max: int) -> None:
    """Sleep for ``min`` to ``max`` microseconds."""
    _sleep_range(k, min, "usleep_range")


@api(since="5.8", sleeps=Sleeps.ALWAYS)
def fsleep(k: Kernel, usecs: int) -> None:
    """Sleep for ``usecs`` microseconds or a little more."""
    _sleep_range(k, usecs, "fsleep")


def _counts(k: Kernel, by: str) -> None:
    """Tell the checker of registers that a driver counts on the time that begins now."""
    if k.config.lint and "ioremap" in vars(k):
        k.ioremap.io.delayed(by)


def _sleep_range(k: Kernel, usecs: int, by: str) -> None:
    _counts(k, by)
    task = k.current
    until = k.clock.now + usecs * NSEC_PER_USEC
    while k.clock.now < until:
        task.state = TASK_UNINTERRUPTIBLE
        k.sched.sleep_until(until)


@api(since="1.0")
def ndelay(k: Kernel, nsecs: int) -> None:
    """Be busy for ``nsecs`` nanoseconds."""
    _counts(k, "ndelay")
    k.sched.spend(nsecs)


@api(since="1.0")
def udelay(k: Kernel, usecs: int) -> None:
    """Be busy for ``usecs`` microseconds."""
    _counts(k, "udelay")
    k.sched.spend(usecs * NSEC_PER_USEC)


@api(since="1.0")
def mdelay(k: Kernel, msecs: int) -> None:
    """Be busy for ``msecs`` milliseconds."""
    _counts(k, "mdelay")
    k.sched.spend(msecs * NSEC_PER_MSEC)


__getattr__ = header_getattr(__name__)
__all__ = [
    "fsleep",
    "mdelay",
    "msleep",
    "msleep_interruptible",
    "ndelay",
    "ssleep",
    "udelay",
    "usleep_range",
]
