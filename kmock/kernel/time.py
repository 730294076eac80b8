"""Timeouts in virtual time (``kernel/time/``): what is due when, in order."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.hw.clock import Clock

NSEC_PER_SEC = 1_000_000_000
NSEC_PER_MSEC = 1_000_000
NSEC_PER_USEC = 1_000
MAX_JIFFY_OFFSET = (1 << 62) - 1
MAX_SCHEDULE_TIMEOUT = (1 << 63) - 1


class Timeout:
    """Something that is to happen at a time, unless it is cancelled."""

    __slots__ = ("action", "when")

    def __init__(self, when: int, action: Callable[[], None] | None) -> None:
        self.when = when
        self.action = action
        """None once it happened or was cancelled."""

    def cancel(self) -> bool:
        """Take it back; whether there was still something to take back."""
        pending = self.action is not None
        self.action = None
        return pending


class Timeouts:
    """Everything that is due later, ordered by time and then by who asked first."""

    __slots__ = ("_clock", "_heap", "_serial")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Timeout]] = []
        self._serial = 0

    def arm(self, when: int, action: Callable[[], None]) -> Timeout:
        """Let ``action`` be called once the clock shows ``when`` nanoseconds."""
        timeout = Timeout(when, action)
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, timeout))
        return timeout

    @property
    def first(self) -> Timeout | None:
        """The next one that is due; None if nothing is armed."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    @property
    def next(self) -> int | None:
        """When the next one is due; None if nothing is armed."""
        first = self.first
        return first.when if first is not None else None

    def fire(self, until: int) -> bool:
        """Move the clock to the next timeout due by ``until`` and let it happen; False if there is none."""
        when = self.next
        if when is None or when > until:
            return False
        timeout = heapq.heappop(self._heap)[2]
        self._clock.now = max(self._clock.now, when)
        action, timeout.action = timeout.action, None
        if action is not None:
            action()
        return True


def jiffies_to_nsecs(jiffies: int, hz: int) -> int:
    """``jiffies_to_nsecs()``."""
    return -(-jiffies * NSEC_PER_SEC // hz)


def msecs_to_jiffies(msecs: int, hz: int) -> int:
    """``msecs_to_jiffies()``: rounded up; a negative number is for ever (``kernel/time/time.c``)."""
    if msecs < 0:
        return MAX_JIFFY_OFFSET
    return -(-msecs * hz // 1000)


def usecs_to_jiffies(usecs: int, hz: int) -> int:
    """``usecs_to_jiffies()``."""
    return -(-usecs * hz // 1_000_000)


def nsecs_to_jiffies(nsecs: int, hz: int) -> int:
    """``nsecs_to_jiffies()``: rounded down."""
    return nsecs * hz // NSEC_PER_SEC


def next_tick(now: int, jiffies: int, hz: int) -> int:
    """Return when a timeout of ``jiffies`` that starts at ``now`` is over: always at a tick."""
    return jiffies_to_nsecs(now * hz // NSEC_PER_SEC + jiffies, hz)
