"""Schedules: where a run went another way than it would have gone by itself, as text that replays it and as a story.

By itself, what runs goes on as long as it can; then whoever has been ready longest. A schedule lists the exceptions,
``flow:decision:target``, separated by commas: at the third decision that concerns flow 1, flow 2 goes on, is ``1:3:2``.
Flow 0 is the test's own code, the others are numbered as they begin. Target ``t`` is the timer interrupt that is due
next, and ``c1`` processor 1 for an interrupt to land on. The empty schedule is ``-``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EMPTY = "-"
TIMER = "t"
_SWITCH = re.compile(r"(\d+):(\d+):(\d+|t|c\d+)")


@dataclass(frozen=True, slots=True)
class Switch:
    """One exception: at its ``decision``-th decision, flow ``flow`` was followed by ``to``."""

    flow: int
    decision: int
    to: str

    def __str__(self) -> str:
        return f"{self.flow}:{self.decision}:{self.to}"


def encode(switches: list[Switch]) -> str:
    """Return the schedule as text."""
    return ",".join(map(str, switches)) or EMPTY


def decode(text: str) -> list[Switch]:
    """Return the schedule that ``text`` stands for; ValueError with one sentence if it is none."""
    if text == EMPTY:
        return []
    return [_switch(part) for part in text.split(",")]


def _switch(text: str) -> Switch:
    found = _SWITCH.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no switch such as 1:3:2 (at its 3rd decision, flow 1 is followed by flow 2)")
    return Switch(int(found[1]), int(found[2]), found[3])
