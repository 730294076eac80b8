"""Functions that run later, as lockdep sees them: who waits for the end of one waits for all locks that it takes.

Linux has a lock map for work items, workqueues and timers, which is held while the function runs, and taken for a moment
by whoever cancels or flushes it. Here interrupt handlers, tasklets and high-resolution timers have one too. All that
call one function are one class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.kernel.held import Held, lockdep_map
from kmock.sanitizers import debug_objects

if TYPE_CHECKING:
    from kmock.machine import Kernel

CANCEL: Final = "lock-deadlock-with-cancel"
FREE_IRQ: Final = "lock-deadlock-with-free-irq"


def map_of(k: Kernel, function: Any, name: str, kind: str = CANCEL, *, unseen: bool = False) -> lockdep_map:
    """Return the map of what calls ``function``; ``name`` has ``{}`` where the function's name comes."""
    key = name, getattr(function, "__code__", function)
    found: lockdep_map | None = k.lockdep.callbacks.get(key)
    if found is None:
        text = name.format(debug_objects.name(function))
        found = k.lockdep.callbacks[key] = lockdep_map(text, kind=kind, unseen=unseen)
    return found


def timer_map(k: Kernel, function: Any) -> lockdep_map:
    """The map of a timer."""
    return map_of(k, function, "(&{})")


def work_map(k: Kernel, function: Any) -> lockdep_map:
    """The map of a work item."""
    return map_of(k, function, "(work_completion)(&{})")


def handler_map(k: Kernel, function: Any) -> lockdep_map:
    """The map of an interrupt handler."""
    return map_of(k, function, "(irq){}", FREE_IRQ, unseen=True)


def tasklet_map(k: Kernel, function: Any) -> lockdep_map:
    """The map of a tasklet."""
    return map_of(k, function, "(tasklet){}", unseen=True)


def hrtimer_map(k: Kernel, function: Any) -> lockdep_map:
    """The map of a high-resolution timer."""
    return map_of(k, function, "(hrtimer){}", unseen=True)


class Running:
    """Context of a function that runs under maps; ``how`` is who calls it."""

    __slots__ = ("_held", "_kernel")

    def __init__(self, k: Kernel, how: str, *maps: lockdep_map) -> None:
        self._kernel = k
        self._held: list[Held] = []
        for one in maps:
            chain = k.lockdep.enter(one, runs=True)
            if chain is not None:
                held = Held(k, one, read=False, how=how, chain=chain)
                held.task.held.append(held)
                self._held.append(held)

    def __enter__(self) -> None:
        """Held since it was made."""

    def __exit__(self, *exc: object) -> None:
        for held in reversed(self._held):
            # Where a task was put right, all that it held is gone.
            if held in held.task.held:
                held.let_go(self._kernel)
