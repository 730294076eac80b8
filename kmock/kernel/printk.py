"""The kernel log (``kernel/printk/``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmock.hw.clock import Clock


class Log:
    """What the kernel said, line by line, with the virtual time of each."""

    __slots__ = ("_clock", "lines")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        """Log ``text``; each line of it gets the time stamp."""
        stamp = self._clock.stamp
        self.lines += [f"{stamp} {line}" for line in text.rstrip("\n").split("\n")]

    def write_all(self, lines: Iterable[str]) -> None:
        """Log several lines."""
        for line in lines:
            self.write(line)

    def text(self) -> str:
        """The whole log."""
        return "".join(line + "\n" for line in self.lines)
