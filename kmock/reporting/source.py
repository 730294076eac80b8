"""The driver's own source: which expression a stack points at, and how that is shown.

A captured stack holds the instruction, and Python knows the columns of each instruction's source: so the
caret stands under the very call or access, also where a line has several.
"""

from __future__ import annotations

import linecache
import os
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from kmock.stack import frames, user_frames

if TYPE_CHECKING:
    from types import CodeType

    from kmock.stack import Frame, Stack

CONTEXT = 2
"""Lines shown above the line that is meant."""


class Spot(NamedTuple):
    """An expression in a source file; columns count characters from 0, and are 0, 0 where unknown."""

    file: str
    line: int
    function: str
    column: int
    end_column: int

    @property
    def place(self) -> str:
        """``scull.py:41 in scull_open``."""
        return f"{os.path.basename(self.file)}:{self.line}" + in_function(self.function)

    @property
    def path(self) -> str:
        """``drivers/scull.py:41 in scull_open``, seen from the working directory where the file lies below it."""
        return f"{shown_path(self.file)}:{self.line}" + in_function(self.function)


def spot(stack: Stack) -> Spot | None:
    """Return the expression that the driver's innermost frame of ``stack`` stands at; None without such a frame."""
    found = user_frames(stack)
    return spot_of(stack, found[0]) if found else None


def spot_of(stack: Stack, frame: Frame) -> Spot:
    """Return the expression that ``frame``, one of those of ``stack``, stands at."""
    code = stack[2 * frames(stack).index(frame)]
    assert not isinstance(code, int)
    column, end_column = _columns(code, frame.offset, frame)
    return Spot(frame.file, frame.line, frame.function, column, end_column)


def _columns(code: CodeType, instruction: int, frame: Frame) -> tuple[int, int]:
    line, end_line, start, end = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    if line != frame.line or start is None or end is None:
        return 0, 0
    # Python counts bytes of UTF-8.
    text = linecache.getline(frame.file, frame.line).rstrip("\n").encode()
    stop = end if end_line == line else len(text)
    return len(text[:start].decode(errors="replace")), len(text[:stop].decode(errors="replace"))


def excerpt(spot: Spot, *, context: int = CONTEXT, width: int = 0) -> list[str]:
    """Return the line of ``spot`` with a caret below and ``context`` lines above; [] if the file can't be read.

    ``width`` is the space there is for a line, 0 for any; longer ones are cut.
    """
    source = linecache.getlines(spot.file)
    if not 0 < spot.line <= len(source):
        return []
    first = max(1, spot.line - context)
    shown = [line.rstrip("\n").expandtabs(4) for line in source[first - 1 : spot.line]]
    while len(shown) > 1 and not shown[0].strip():
        del shown[0]
    first = spot.line - len(shown) + 1
    margin = min((len(line) - len(line.lstrip()) for line in shown if line.strip()), default=0)
    digits = len(str(spot.line))
    rows = [
        f"{'>' if n == spot.line else ' '} {n:>{digits}} | {line[margin:]}".rstrip()
        for n, line in enumerate(shown, first)
    ]
    rows.append(_caret(spot, source[spot.line - 1], margin, digits))
    return [row if not width or len(row) <= width else row[: max(width - 3, 0)] + "..." for row in rows]


def _caret(spot: Spot, line: str, margin: int, digits: int) -> str:
    text = line.rstrip("\n")
    start, end = spot.column, min(spot.end_column, len(text))
    if start >= end:
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
    start, end = (len(text[:at].expandtabs(4)) - margin for at in (start, end))
    return f"  {'':{digits}} | {'':{start}}{'^' * max(end - start, 1)}"


def in_function(function: str) -> str:
    """`` in scull_open``; nothing for code that is in no function."""
    return "" if function == "<module>" else f" in {function}"


def shown_path(file: str) -> str:
    """``file`` seen from the working directory where it lies below it, else as it is."""
    here = os.path.join(os.getcwd(), "")
    return file.removeprefix(here)
