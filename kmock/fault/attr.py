"""``struct fault_attr``: when a class of calls fails (``lib/fault-inject.c``)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kmock.stack import user_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from kmock.kernel.task import Task
    from kmock.stack import Stack

MAX_STACK_TRACE_DEPTH = 32


@dataclass(slots=True)
class FaultAttr:
    """When calls of one class fail. Field names and defaults are those of the kernel's debugfs files."""

    name: str = "(null)"
    probability: int = 0
    """Percent of the eligible calls that fail; 0 turns the class off."""
    interval: int = 1
    """Only every ``interval``-th eligible call is considered."""
    times: int = 1
    """Failures left; -1 for no limit."""
    space: int = 0
    """Budget in the class's unit (bytes, pages) that calls use up before one fails."""
    verbose: int = 2
    """0: silent; 1: say that a failure was forced; 2: and where."""
    verbose_ratelimit_interval_ms: int = 0
    """Milliseconds in which at most ``verbose_ratelimit_burst`` messages come; 0 for no limit."""
    verbose_ratelimit_burst: int = 10
    task_filter: bool = False
    """Only tasks that ``/proc/<pid>/make-it-fail`` marks, and only in task context."""
    stacktrace_depth: int = MAX_STACK_TRACE_DEPTH
    """Frames that ``require`` and ``reject`` look at."""
    require: tuple[str, ...] = ()
    """Functions or files (globs) of the driver, one of which must be on the stack."""
    reject: tuple[str, ...] = ()
    """Functions or files (globs) of the driver, none of which may be on the stack."""
    count: int = field(default=0, init=False)
    _printed: int = field(default=0, init=False)
    _printed_since: int = field(default=0, init=False)

    def due(self, size: int, task: Task, random: Random, *, in_task: bool, stack: Callable[[], Stack]) -> bool:
        """Whether a call of ``size`` fails, by the tests of ``should_fail_ex()`` in the kernel's order."""
        if not self.probability or not self.times:
            return False
        if self.task_filter and not (in_task and task.make_it_fail):
            return False
        if self.space > size:
            self.space -= size
            return False
        if self.interval > 1:
            self.count += 1
            if self.count % self.interval:
                return False
        # 100 and more are certain, and draw nothing: what else is random in the run stays as it was.
        if self.probability < 100 and self.probability <= random.randrange(100):
            return False
        return not (self.require or self.reject) or self._stack_agrees(stack())

    def reset(self) -> None:
        """Go back to the kernel's defaults."""
        for one in fields(self):
            if one.name != "name":
                setattr(self, one.name, one.default)

    def used(self) -> None:
        """Count one forced failure."""
        if self.times > 0:
            self.times -= 1

    def speaks(self, now: int) -> bool:
        """Whether a message at time ``now`` (nanoseconds) is within the rate limit."""
        if not self.verbose:
            return False
        if not self.verbose_ratelimit_interval_ms:
            return True
        if now - self._printed_since >= self.verbose_ratelimit_interval_ms * 1_000_000 or not self._printed:
            self._printed, self._printed_since = 0, now
        self._printed += 1
        return self._printed <= self.verbose_ratelimit_burst

    @property
    def message(self) -> str:
        """The second line of the message about a forced failure."""
        return (
            f"name {self.name}, interval {self.interval}, probability {self.probability}, "
            f"space {self.space}, times {self.times}"
        )

    def _stack_agrees(self, stack: Stack) -> bool:
        found = not self.require
        for frame in user_frames(stack)[: self.stacktrace_depth]:
            if _named(frame.function, frame.file, self.reject):
                return False
            found = found or _named(frame.function, frame.file, self.require)
        return found


def _named(function: str, file: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(function, p) or fnmatchcase(file, p) or fnmatchcase(file, f"*/{p}") for p in patterns)


@dataclass(slots=True)
class Failslab(FaultAttr):
    """Slab allocations fail (``mm/failslab.c``); ``space`` counts bytes of the cache's object size."""

    ignore_gfp_wait: bool = True
    """Spare the calls that may reclaim; so only atomic ones fail."""
    cache_filter: bool = False
    """Only caches that carry SLAB_FAILSLAB, as ``slub_debug=A,<cache>`` sets it."""


@dataclass(slots=True)
class FailPageAlloc(FaultAttr):
    """Page allocations fail (``mm/page_alloc.c``); ``space`` counts pages."""

    ignore_gfp_wait: bool = True
    """Spare the calls that may reclaim."""
    ignore_gfp_highmem: bool = True
    """Spare the calls that may be given high memory."""
    min_order: int = 1
    """Spare smaller blocks than this."""


@dataclass(slots=True)
class FailUsercopy(FaultAttr):
    """Copies from and to user space fail (``lib/fault-inject-usercopy.c``); ``space`` counts calls."""


CLASSES: dict[str, type[FaultAttr]] = {
    "failslab": Failslab,
    "fail_page_alloc": FailPageAlloc,
    "fail_usercopy": FailUsercopy,
}
