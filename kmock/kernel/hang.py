"""Waits that nothing ends: who waits for what, who holds it (``kernel/hung_task.c``)."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from kmock.errors import Deadlock
from kmock.kernel.task import TASK_RUNNING, TASK_UNINTERRUPTIBLE, Task
from kmock.stack import user_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.held import Held, Lock
    from kmock.kernel.time import Timeout
    from kmock.machine import Kernel
    from kmock.report import Report
    from kmock.stack import Stack


class Wait:
    """What a task waits for."""

    __slots__ = ("alarm", "condition", "kind", "lock", "what")

    def __init__(
        self, what: str, lock: Lock | None = None, kind: str = "hang", condition: Callable[[], object] | None = None
    ) -> None:
        self.kind = kind
        """What it is called if nothing ever ends it."""
        self.what = what
        """The end of a sentence: ``for mutex "m"``."""
        self.lock = lock
        """The lock, where it is one that somebody holds."""
        self.condition = condition
        """What has to hold, as far as the sleeper said."""
        self.alarm: Timeout | None = None
        """The timeout that will end the wait anyway."""

    def holders(self, k: Kernel) -> list[Held]:
        """Who would have to let go."""
        if self.lock is None:
            return []
        state = self.lock.of(k)
        return [state.owner] if state.owner is not None else list(state.readers)


def cycle_through(k: Kernel, start: Task) -> list[Task]:
    """Return the tasks that wait for each other in a circle with ``start``; empty if there is none."""

    def follow(task: Task, path: list[Task]) -> list[Task]:
        wait = task.wait
        if wait is None or wait.alarm is not None:
            return []
        for held in wait.holders(k):
            if held.task is start:
                return path
            if held.task not in path and (found := follow(held.task, [*path, held.task])):
                return found
        return []

    return follow(start, [start])


def hang_report(k: Kernel, waiting: list[Task], kind: str = "") -> Report:
    """Report that ``waiting`` will wait for ever; return the report, which may have been made before."""
    waiting = waiting or [k.current]
    if not kind:
        cycle = next((circle for task in waiting if (circle := cycle_through(k, task))), None)
        kind, waiting = ("deadlock", cycle) if cycle else (_kind(k, waiting), waiting)
    key = ("hang", frozenset(waiting))
    report = k.report(
        kind,
        _headline(k, kind, waiting[0]),
        lines=[line for task in waiting for line in _describe(k, task)],
        stacks=_stacks(k, waiting),
        key=key,
    )
    found = report or k.reports.find(key)
    assert found is not None
    return found


def _kind(k: Kernel, waiting: list[Task]) -> str:
    """What it is called when ``waiting`` wait, and not for each other."""
    waiting.sort(key=lambda task: not _overslept(k, task))
    if _overslept(k, waiting[0]):
        return "lost-wakeup"
    wait = waiting[0].wait
    return wait.kind if wait is not None else "hang"


def _overslept(k: Kernel, task: Task) -> str:
    """Why ``task`` should not have gone to sleep; empty if there is no sign of that."""
    wait: Wait | None = task.wait
    if wait is None or not task.state:
        return ""
    if wait.condition is not None:
        watched = k.explorer.aside() if k.explorer is not None else nullcontext()
        with watched, suppress(Exception):  # it may only be meant to be asked by a task that holds this or that
            return "what it waits for has come true, and nobody woke it" if wait.condition() else ""
    return "it was woken when it did not sleep yet, and nobody will again" if task.woken_early else ""


def deadlock(k: Kernel, report: Report | None) -> Deadlock:
    """Return the exception that stops the test's code where it would wait for ever."""
    assert report is not None
    k.balance.excused = True
    return Deadlock(report)


def _headline(k: Kernel, kind: str, task: Task) -> str:
    if task.state == TASK_RUNNING:
        cpu = task.cpu.id if task.cpu is not None and task is not k.current else k.cpu.id
        return f"watchdog: BUG: soft lockup - CPU#{cpu} stuck for 26s! [{task.comm}:{task.pid}]"
    if task.state & TASK_UNINTERRUPTIBLE:
        return f"INFO: task {task.comm}:{task.pid} blocked for more than 120 seconds."
    return f"BUG: kmock: {kind} in {k.symbol(_stacks(k, [task])['access'])}"


def _describe(k: Kernel, task: Task) -> list[str]:
    wait = task.wait
    place = user_frames(task.slept_at)
    at = f" at {place[0].short}" if place else ""
    lines = [f"task {task!r} waits {wait.what if wait is not None else 'for ever'}{at}"]
    if why := _overslept(k, task):
        lines.append(f"  {why}")
    if wait is not None:
        lines += [f"  held by {held.task!r}, taken by {held.how}() at {held.short}" for held in wait.holders(k)]
    return lines


def _stacks(k: Kernel, waiting: list[Task]) -> dict[str, Stack]:
    """The first task's stack as the access, the others' and the holders' by their names."""
    stacks: dict[str, Stack] = {"access": waiting[0].slept_at or k.capture()}
    for task in waiting[1:]:
        stacks[f"{task!r} waits"] = task.slept_at
    for task in waiting:
        if task.wait is not None:
            for held in task.wait.holders(k):
                stacks.setdefault(f"taken by {held.task!r}", held.stack)
        if task.woken_early and _overslept(k, task):
            stacks.setdefault("woken too early", task.woken_early)
    return stacks
