"""Call stacks, captured cheaply and rendered only when somebody reads them.

A stack is a flat tuple ``(code, instruction, code, instruction, ...)``, innermost frame first. Taking
the instruction offset instead of the line number leaves the decoding of line tables to the reader: an
allocation takes a stack on every call, a reader sees one only when something went wrong.
"""

from __future__ import annotations

import dis
import linecache
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

HERE = str(Path(__file__).parent) + "/"
DEPTH = 12
"""Frames kept. Kernel-side frames come first, so this leaves about eight of the driver's."""

# Runners and libraries whose frames say nothing about the driver.
_OUTSIDE = ("/_pytest/", "/pluggy/", "/pytest_benchmark/", "/hypothesis/", "/greenlet/", "/unittest/", "<frozen ")

_BINDING = {HERE + "linux/_api.py", HERE + "kernel/contracts.py"}
"""Files whose frames stand between the driver and every kernel function."""
_CALLS = {dis.opmap[name] for name in ("CALL", "CALL_KW", "CALL_FUNCTION_EX") if name in dis.opmap}
_CACHE = dis.opmap["CACHE"]
_POP_TOP = dis.opmap["POP_TOP"]

Stack = tuple["CodeType | int", ...]


def capture(skip: int = 1, depth: int = DEPTH) -> Stack:
    """Return the stack of the caller, leaving out its ``skip`` innermost frames."""
    frame = sys._getframe(skip)
    out: list[CodeType | int] = []
    push = out.append
    while frame is not None and depth:
        push(frame.f_code)
        push(frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
        depth -= 1
    return tuple(out)


def capture_ten(skip: int) -> Stack:
    """``capture(skip, 10)``, unrolled: every kmalloc() takes a stack, and this takes half the time of the loop."""
    a = sys._getframe(skip)
    try:
        # fmt: off
        return (
            a.f_code, a.f_lasti,
            (b := a.f_back).f_code, b.f_lasti,  # type: ignore[union-attr]  # None ends it: AttributeError
            (c := b.f_back).f_code, c.f_lasti,  # type: ignore[union-attr]  # the same
            (d := c.f_back).f_code, d.f_lasti,  # type: ignore[union-attr]  # the same
            (e := d.f_back).f_code, e.f_lasti,  # type: ignore[union-attr]  # the same
            (f := e.f_back).f_code, f.f_lasti,  # type: ignore[union-attr]  # the same
            (g := f.f_back).f_code, g.f_lasti,  # type: ignore[union-attr]  # the same
            (h := g.f_back).f_code, h.f_lasti,  # type: ignore[union-attr]  # the same
            (i := h.f_back).f_code, i.f_lasti,  # type: ignore[union-attr]  # the same
            (j := i.f_back).f_code, j.f_lasti,  # type: ignore[union-attr]  # the same
        )
        # fmt: on
    except AttributeError:
        return capture(skip + 1, 10)


def end_of(function: object) -> Stack:
    """Return the frame that a function which has returned had when it did, at its last ``return``; empty if unknown."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return ()
    import dis  # noqa: PLC0415 -- only for the sake of a mistake

    returns = [at.offset for at in dis.get_instructions(code) if at.opname.startswith("RETURN_")]
    return code, returns[-1] if returns else 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack: a place in a source file."""

    file: str
    line: int
    function: str
    offset: int = 0
    size: int = 0

    @property
    def source(self) -> str:
        """The source line, stripped; empty when the file can't be read."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def symbol(self) -> str:
        """``function+0xoffset/0xsize``, as the kernel prints a place."""
        return f"{self.function}+{self.offset:#x}/{self.size:#x}"

    @property
    def short(self) -> str:
        """``file:line`` with the file's last two parts."""
        return f"{'/'.join(Path(self.file).parts[-2:])}:{self.line}"

    @property
    def is_kmock(self) -> bool:
        """Whether this is kmock's own code, which a user did not write and can't mend."""
        return self.file.startswith(HERE)

    @property
    def is_outside(self) -> bool:
        """Whether this belongs to the test runner or the interpreter."""
        return any(part in self.file for part in _OUTSIDE)


def result_dropped(called: str) -> bool:
    """Whether the driver's call that is running stands by itself, so that nobody will see what it returns.

    False unless that is a call of a function with ``called`` in its name: kmock's own use of one is its own affair.
    """
    frame = sys._getframe(1)
    outermost = ""
    while frame.f_code.co_filename.startswith(HERE) and frame.f_back is not None:
        if frame.f_code.co_filename not in _BINDING:
            outermost = frame.f_code.co_name
        frame = frame.f_back
    if called not in outermost:
        return False
    code, at = frame.f_code.co_code, frame.f_lasti
    # A call is followed by what the interpreter caches of it, and stands there or at its end.
    call = next((n for n in range(at, -1, -2) if code[n] != _CACHE), 0)
    following = next((n for n in range(at + 2, len(code), 2) if code[n] != _CACHE), call)
    return code[call] in _CALLS and code[following] == _POP_TOP


def driver_frame() -> FrameType | None:
    """Return the running frame of the driver that called into kmock, None if nobody outside did."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return frame


def line_of(code: CodeType, instruction: int) -> int:
    """Return the source line of the instruction at that offset."""
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def frames(stack: Stack) -> list[Frame]:
    """Decode a captured stack, innermost frame first."""
    out = []
    for i in range(0, len(stack), 2):
        code, at = stack[i], stack[i + 1]
        assert not isinstance(code, int)
        assert isinstance(at, int)
        out.append(Frame(code.co_filename, line_of(code, at), code.co_name, max(at, 0), len(code.co_code)))
    return out


def sites(stack: Stack) -> Iterator[tuple[CodeType, int]]:
    """Return code and instruction of the driver's frames, innermost first; nothing is decoded."""
    for i in range(0, len(stack), 2):
        code, at = stack[i], stack[i + 1]
        assert not isinstance(code, int)
        assert isinstance(at, int)
        file = code.co_filename
        if not file.startswith(HERE) and not any(part in file for part in _OUTSIDE):
            yield code, at


def site(stack: Stack) -> tuple[CodeType, int] | None:
    """Return code and instruction of the driver's innermost frame, None if there is none."""
    return next(sites(stack), None)


def user_frames(stack: Stack) -> list[Frame]:
    """Decode a stack and keep only the frames that are neither kmock's nor the test runner's."""
    out: list[Frame] = []
    for frame in frames(stack):
        if frame.is_outside:
            if out:
                break
        elif not frame.is_kmock:
            out.append(frame)
    return out
