"""The virtual clock: nanoseconds since boot. Nothing but the scheduler moves it."""

from __future__ import annotations


class Clock:
    """Time of the simulated machine. ``now`` is nanoseconds since boot; ``hz`` ticks make a second."""

    __slots__ = ("hz", "now")

    # Linux starts jiffies five minutes before they wrap, so that wrapping bugs show (include/linux/jiffies.h).
    INITIAL_SECONDS = -300

    def __init__(self, hz: int) -> None:
        self.hz = hz
        self.now = 0

    @property
    def jiffies(self) -> int:
        """Ticks since boot, from INITIAL_JIFFIES, as the 64-bit counter of x86-64 shows them."""
        return (self.now * self.hz // 1_000_000_000) + (self.INITIAL_SECONDS * self.hz & 0xFFFF_FFFF)

    @property
    def stamp(self) -> str:
        """The time in front of a log line, as printk writes it."""
        return f"[{self.now // 1_000_000_000:5d}.{self.now // 1000 % 1_000_000:06d}]"
