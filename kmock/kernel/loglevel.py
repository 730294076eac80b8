"""What printk() does with a message before it is logged (``kernel/printk/printk.c``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kmock.kernel.bug import caller
from kmock.lang.format import vsprintf

if TYPE_CHECKING:
    from kmock.machine import Kernel

_LEVEL = re.compile("^\x01([0-7cd])")
RATELIMIT_INTERVAL = 5_000_000_000
RATELIMIT_BURST = 10


def printk(k: Kernel, fmt: str | bytes, args: tuple[Any, ...]) -> int:
    """Log a message; return its length without the level."""
    text = vsprintf(k, fmt, args)
    level = _LEVEL.match(text)
    body = text[level.end() :] if level else text
    if level and level[1] == "c" and k.log.lines:
        k.log.lines[-1] += body.rstrip("\n")
    else:
        k.log.write(body)
    return len(body)


def rate_limited(k: Kernel) -> bool:
    """Whether the driver's line may speak: ten times in five seconds (``__ratelimit()``)."""
    frame = caller(k)
    return may_speak(k, (frame.file, frame.line))


def may_speak(k: Kernel, place: object) -> bool:
    """Whether ``place`` may speak once more: ten times in five seconds."""
    began, count = k.rates.get(place, (k.clock.now, 0))
    if k.clock.now - began >= RATELIMIT_INTERVAL:
        began, count = k.clock.now, 0
    k.rates[place] = (began, count + 1)
    return count < RATELIMIT_BURST
