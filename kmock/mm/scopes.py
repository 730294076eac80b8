"""Scopes that narrow what a task's allocations may do: ``memalloc_noio_save()`` and its kin (``linux/sched/mm.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.kernel.task import PF_MEMALLOC, PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, PF_MEMALLOC_PIN, Task
from kmock.sanitizers.describe import place

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.stack import Stack

SCOPES: Final = {
    "noio": PF_MEMALLOC_NOIO,
    "nofs": PF_MEMALLOC_NOFS,
    "noreclaim": PF_MEMALLOC,
    "pin": PF_MEMALLOC_PIN,
}


class Scope(NamedTuple):
    """One scope that is open."""

    name: str
    saved: int
    stack: Stack


class MemallocScopes:
    """The scopes of every task, innermost last."""

    __slots__ = ("_open", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._open: dict[Task, list[Scope]] = {}
        kernel.census.register(self.end_all)

    def save(self, name: str) -> int:
        """Open a scope (``noio``, ``nofs``, ``noreclaim`` or ``pin``); return what its restore is to be given."""
        k = self.kernel
        task = k.cpu.task
        flag = SCOPES[name]
        saved = task.flags & flag
        task.flags |= flag
        self._open.setdefault(task, []).append(Scope(name, saved, k.capture()))
        return saved

    def restore(self, name: str, flags: int) -> None:
        """Close the innermost scope; report if it is another one, or another's flags."""
        k = self.kernel
        task = k.cpu.task
        flag = SCOPES[name]
        scopes = self._open.get(task)
        if not scopes:
            self._report(f"memalloc_{name}_restore() without a save in this task", None)
        elif scopes[-1].name != name or scopes[-1].saved != flags & flag:
            top = scopes[-1]
            self._report(f"memalloc_{name}_restore({flags:#x}) while memalloc_{top.name}_save() is innermost", top)
            self._remove(scopes, name)
        else:
            scopes.pop()
        task.flags = (task.flags & ~flag) | flags & flag

    @staticmethod
    def _remove(scopes: list[Scope], name: str) -> None:
        for i in range(len(scopes) - 1, -1, -1):
            if scopes[i].name == name:
                del scopes[i]
                return

    def _report(self, what: str, scope: Scope | None) -> None:
        k = self.kernel
        stacks = {"access": k.capture()}
        if scope is not None:
            stacks["saved"] = scope.stack
        headline = f"BUG: kmock: memalloc-scope-imbalance in {k.symbol(stacks['access'])}"
        k.report("memalloc-scope-imbalance", headline, lines=[what], stacks=stacks)

    def end(self, task: Task) -> None:
        """Report the scopes that ``task``, which ends now, left open."""
        for scope in reversed(self._open.pop(task, [])):
            task.flags &= ~SCOPES[scope.name]
            headline = f"BUG: kmock: memalloc-scope-imbalance: memalloc_{scope.name}_save() at {place(scope.stack)}"
            lines = [f"{task!r} ends without memalloc_{scope.name}_restore()"]
            self.kernel.report("memalloc-scope-imbalance", headline, lines=lines, stacks={"access": scope.stack})

    def end_all(self) -> None:
        """Report the scopes that are open at the machine's end."""
        for task in [*self._open]:
            self.end(task)
