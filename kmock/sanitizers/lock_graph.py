"""Which locks were taken inside which, and what follows from that (``__bfs()`` of ``kernel/locking/lockdep.c``).

An edge leads from a class to one that was taken while it was held. What it means depends on who reads: of an edge it is
kept whether its first lock was ever held exclusively (``E``, else shared, ``S``), and whether its second was ever taken
by somebody who has to wait for readers (``N``, else a recursive reader, ``R``). A reader that may recurse passes other
readers, so a path with ``-(*R)-> -(S*)->`` in it holds nobody up; only the others, the strong ones, can deadlock
(``Documentation/locking/lockdep-design.rst``).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.sanitizers.lock_class import LockClass
    from kmock.stack import Stack

EXCLUSIVE = 0
SHARED = 1
RECURSIVE = 2
"""How a lock is taken: by a writer, by a reader, by a reader that may already be one."""

# Bits of Edge.kinds: 1 << (first is exclusive) + 2 * (second is not recursive).
_ALL_E = 0b1010
_ALL_N = 0b1100


def kind_of(first: int, second: int) -> int:
    """Return the bit for an edge between locks that are taken in these ways (``calc_dep()``)."""
    return 1 << (first == EXCLUSIVE) + 2 * (second != RECURSIVE)


class Edge:
    """``first`` was held when ``second`` was taken."""

    __slots__ = ("direct", "first", "kinds", "outer", "second", "stack", "why")

    def __init__(
        self, first: LockClass, second: LockClass, kinds: int, stacks: tuple[Stack, Stack], *, direct: bool, why: str
    ) -> None:
        self.first = first
        self.second = second
        self.kinds = kinds
        self.outer, self.stack = stacks
        """Where the two were taken when that was seen first."""
        self.why = why
        """What a cycle with the edge in it is called; empty where that is nothing special."""
        self.direct = direct
        """Whether nothing was taken between the two."""


class Direction(NamedTuple):
    """Which way a search goes, and what makes a path of edges weak that way."""

    side: str
    after_weak: int
    """Kinds of edges that may follow where only weak ones led."""
    strong: int


FORWARDS = Direction("after", after_weak=_ALL_E, strong=_ALL_N)
BACKWARDS = Direction("before", after_weak=_ALL_N, strong=_ALL_E)


class Step:
    """A class that a search reached, and how."""

    __slots__ = ("before", "cls", "edge", "weak")

    def __init__(self, cls: LockClass, *, weak: bool, edge: Edge | None = None, before: Step | None = None) -> None:
        self.cls = cls
        self.weak = weak
        """Whether only weak edges led here: forwards to recursive readers, backwards from shared holders."""
        self.edge = edge
        self.before = before

    def path(self) -> list[Step]:
        """Return the steps from where the search began to this one."""
        steps = [self]
        while (before := steps[-1].before) is not None:
            steps.append(before)
        return steps[::-1]


def walk(root: LockClass, direction: Direction, *, weak: bool) -> Iterator[Step]:
    """Visit what strong paths lead to from ``root``, the nearest first, ``root`` itself at the beginning.

    A class comes a second time when it was reached weakly first and strongly later.
    """
    waiting = deque([Step(root, weak=weak)])
    seen: dict[LockClass, bool] = {}
    while waiting:
        step = waiting.popleft()
        if step.cls in seen and (step.weak or not seen[step.cls]):
            continue
        seen[step.cls] = step.weak
        yield step
        edges: dict[LockClass, Edge] = getattr(step.cls, direction.side)
        for cls, edge in edges.items():
            kinds = edge.kinds & direction.after_weak if step.weak else edge.kinds
            if kinds:
                waiting.append(Step(cls, weak=not kinds & direction.strong, edge=edge, before=step))


def find(root: LockClass, direction: Direction, match: Callable[[Step], bool], *, weak: bool) -> Step | None:
    """Return the nearest step that matches, None if there is none."""
    return next(filter(match, walk(root, direction, weak=weak)), None)


def cycle(first: LockClass, held: int, second: LockClass, taken: int) -> Step | None:
    """Return the way from ``second`` to ``first`` that the edge ``first -> second`` would close to a strong cycle.

    ``held`` and ``taken`` are how the two locks are held and taken (``check_noncircular()``).
    """

    def closes(step: Step) -> bool:
        return step.cls is first and (held == EXCLUSIVE or not step.weak)

    return find(second, FORWARDS, closes, weak=taken == RECURSIVE)


def connect(
    first: LockClass,
    held: int,
    second: LockClass,
    taken: int,
    stacks: tuple[Stack, Stack],
    *,
    direct: bool = True,
    why: str = "",
) -> bool:
    """Add an edge, or what is new of it; whether it is a new one. ``stacks`` tell where the two locks were taken."""
    kinds = kind_of(held, taken)
    edge = first.after.get(second)
    if edge is not None:
        edge.kinds |= kinds
        edge.direct |= direct
        return False
    first.after[second] = second.before[first] = Edge(first, second, kinds, stacks, direct=direct, why=why)
    return True


def disconnect(cls: LockClass) -> None:
    """Forget a class: its locks are no more."""
    for other in cls.after:
        other.before.pop(cls, None)
    for other in cls.before:
        other.after.pop(cls, None)
    cls.after, cls.before = {}, {}
