"""What one system call copied from and to its process, and what follows from that when it returns.

A process has other threads, so its memory may change while the kernel looks at it: what was fetched twice may be
two different things. And a length that the process gave is no length until somebody has bounded it.
"""

from __future__ import annotations

import dis
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kmock.stack import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

    from kmock.lang.ptr import Ptr
    from kmock.sanitizers.usercopy import Direction
    from kmock.stack import Stack

FETCHES = 64
"""How many fetches of one call are remembered."""
_ENTRY = "/user/process.py"
_WIDTHS = (2, 4, 8)

# Functions that bound or compare what they are given.
_CHECKS = frozenset(("min", "min_t", "min3", "clamp", "clamp_t", "clamp_val", "memcmp", "strcmp", "strncmp"))
_LOCALS = frozenset(("LOAD_DEREF", "LOAD_NAME"))
_MEMBERS = frozenset(("LOAD_ATTR", "LOAD_METHOD"))
_STORES = frozenset(("STORE_DEREF", "STORE_NAME"))


@dataclass(frozen=True, slots=True)
class ShortCopy:
    """A copy that ended early."""

    direction: Direction
    address: int
    n: int
    left: int
    stack: Stack


@dataclass(slots=True)
class Fetch:
    """Bytes of the process that were copied into the kernel, and where that was done."""

    address: int
    n: int
    stack: Stack

    @property
    def end(self) -> int:
        """Address behind the last byte."""
        return self.address + self.n


@dataclass(slots=True)
class Traffic:
    """What one system call copied."""

    given: tuple[int, ...] = ()
    """Numbers that the process passed to it."""
    copied: int = 0
    short: list[ShortCopy] = field(default_factory=list)
    endless: list[tuple[Ptr, int, Stack]] = field(default_factory=list)
    """Strings that were longer than their buffers, and so came without their NUL: buffer, bytes, and where."""
    fetched: list[Fetch] = field(default_factory=list)
    again: list[tuple[Fetch, Fetch]] = field(default_factory=list)
    """Bytes that were fetched twice: the first time and the second."""
    unanswered: list[Callable[[], None]] = field(default_factory=list)
    """What is to be told of if the process is not told that its call failed."""

    def copied_whole(self, direction: Direction, address: int, n: int) -> None:
        """A copy succeeded; it makes good what an earlier one in its place left."""
        self.copied += n
        self.short = [
            s
            for s in self.short
            if s.direction is not direction or not address <= s.address + s.n - s.left < address + n
        ]

    def lengths_beside(self, address: int, read: Callable[[int, int], bytes]) -> Iterator[int]:
        """The numbers that the process passed together with ``address``; ``read`` gives its memory."""
        if address in self.given:
            yield from (n for n in self.given if 0 < n < address)
        for fetch in self.fetched:
            data = read(fetch.address, min(fetch.n, 256))
            if holds_number(data, address):
                yield from (n for n in numbers_in(data) if 0 < n < address)

    def fetch(self, address: int, n: int, stack: Stack) -> None:
        """``n`` bytes at ``address`` of the process are in the kernel now."""
        if not n or len(self.fetched) >= FETCHES:
            return
        new = Fetch(address, n, stack)
        for old in self.fetched:
            if old.address < new.end and address < old.end and not same_place(old.stack, stack):
                self.again.append((old, new))
                break
        last = self.fetched[-1] if self.fetched else None
        if last is not None and last.end == address and same_place(last.stack, stack):
            last.n += n  # a loop over an array
        else:
            self.fetched.append(new)


def same_place(a: Stack, b: Stack) -> bool:
    """Whether two stacks have the same driver's frame on top: a loop that polls or walks."""
    return next(driver_frames(a), None) == next(driver_frames(b), None)


def driver_frames(stack: Stack) -> Iterator[tuple[CodeType, int]]:
    """Code and instruction of the frames of ``stack`` that are not kmock's, innermost first."""
    for i in range(0, len(stack), 2):
        code, at = stack[i], stack[i + 1]
        assert not isinstance(code, int)
        assert isinstance(at, int)
        if not code.co_filename.startswith(HERE):
            yield code, at


def holds_number(data: bytes, n: int) -> bool:
    """Whether ``n`` stands anywhere in ``data``, as an aligned little-endian number of 2, 4 or 8 bytes."""
    return any(
        data[at : at + width] == n.to_bytes(width, "little")
        for width in _WIDTHS
        if n >> 8 * width == 0
        for at in range(0, len(data) - width + 1, width)
    )


def numbers_in(data: bytes) -> Iterator[int]:
    """The aligned little-endian numbers of 4 and 8 bytes in ``data``."""
    for width in (4, 8):
        for at in range(0, len(data) - width + 1, width):
            yield int.from_bytes(data[at : at + width], "little")


# -- was the second one checked -----------------------------------------------------------------------


def looked_at_again(stack: Stack) -> bool:
    """Whether the driver, after the fetch at ``stack``, compares or replaces what it has fetched.

    Read off the driver's code: a comparison, a bound or an assignment after the fetch that mentions a variable or
    member which the fetch itself or an earlier comparison mentions.
    """
    return any(_looked_at_again(code, at) for code, at in driver_frames(stack[: _entry(stack)]))


def _entry(stack: Stack) -> int:
    """Where in the stack the system call begins: what is outside of it belongs to the process."""
    return next((i for i in range(0, len(stack), 2) if stack[i].co_filename.endswith(_ENTRY)), len(stack))  # type: ignore[union-attr]  # every other is code


def _looked_at_again(code: CodeType, at: int) -> bool:
    statements = _statements(code)
    # A frame may stand behind its call, in what belongs to the instruction.
    here = max(statements, key=lambda s: max((offset for offset in s.offsets if offset <= at), default=-1))
    others = [s for s in statements if s is not here]
    about = here.subjects.union(*(s.names for s in others if s.checks and s.offsets[0] < at))
    return any(about & (s.assigned | (s.names if s.checks else set())) for s in others if s.offsets[-1] > at)


@dataclass(slots=True)
class _Statement:
    """One statement of the code: which names it has, and whether it compares."""

    offsets: list[int] = field(default_factory=list)
    checks: bool = False
    fetches_number: bool = False
    locals: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)
    """Members that it stores to."""
    stored: list[str] = field(default_factory=list)
    """Variables that it sets, in order."""

    @property
    def names(self) -> set[str]:
        """Variables and members that it reads."""
        return self.locals | self.members

    @property
    def subjects(self) -> set[str]:
        """What a fetch in this statement fills in."""
        # err, x = get_user(p): the first is no data. left = copy_from_user(to, ...): `to` is.
        return set(self.stored[1:]) if self.fetches_number else self.locals - set(self.stored)


def _statements(code: CodeType) -> list[_Statement]:
    instructions = [i for i in dis.get_instructions(code) if i.positions is not None and i.positions.lineno is not None]
    first = _first_lines(instructions)
    found: dict[int, _Statement] = {}
    for i in instructions:
        assert i.positions is not None
        assert i.positions.lineno is not None
        _note(found.setdefault(first[i.positions.lineno], _Statement()), i)
    return list(found.values())


def _first_lines(instructions: list[dis.Instruction]) -> dict[int, int]:
    """By line, the first one of the statement that it is part of: a call may go over several."""
    first: dict[int, int] = {}
    for i in instructions:
        assert i.positions is not None
        start, end = i.positions.lineno, i.positions.end_lineno
        assert start is not None
        for line in range(start, (end or start) + 1):
            first[line] = min(first.get(line, start), start)
    return first


def _note(s: _Statement, i: dis.Instruction) -> None:
    s.offsets.append(i.offset)
    names = i.argval if isinstance(i.argval, tuple) else (str(i.argval),)  # two at once since 3.13
    if i.opname.startswith("LOAD_FAST") or i.opname in _LOCALS:
        s.locals.update(names)
    elif i.opname in _MEMBERS:
        s.members.update(names)
    elif i.opname == "STORE_ATTR":
        s.assigned.update(names)
    elif i.opname.startswith("STORE_FAST") or i.opname in _STORES:
        s.stored.extend(names)
    elif i.opname == "LOAD_GLOBAL":
        s.checks = s.checks or names[0] in _CHECKS
        s.fetches_number = s.fetches_number or names[0].strip("_") == "get_user"
    s.checks = s.checks or i.opname == "COMPARE_OP"
