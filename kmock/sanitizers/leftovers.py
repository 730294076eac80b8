"""What a module, or a file's life from open to release, leaves behind.

The census at the end tells that something was left; this tells earlier whose it was and when. A module answers
for every allocation whose stack goes through its code. A file answers for what its open allocated, if that
outlives the release, and nothing points to it any more or the next round does the same again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kmock.sanitizers.reach import living, reachable
from kmock.stack import user_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.fs.file import File
    from kmock.kernel.module import Module
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.stack import Frame, Stack

SUBSYSTEMS = (
    "chrdevs", "misc", "classes", "irqs", "rcu", "timers", "hrtimers", "tasklets", "workqueues", "sched", "resources",
)  # fmt: skip
"""Attributes of the kernel that know of registrations; each has ``registrations()``."""

LOOKS = 64
"""How many releases of files of one path are looked at closely, before only every so many-th is."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Something that a driver made known to the kernel and must take back."""

    what: str
    stack: Stack
    """Where it was registered."""
    undo: str
    kind: str = "registration-left"
    headline: str = ""
    """What the kernel says of it, where it says something."""
    key: object = None
    """What the report is about, where somebody else may tell of it too."""


class Leftovers:
    """Whose is what is left, for one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.rounds: Counter[tuple[int, str, Frame | None]] = Counter()
        """Lives of files that left an allocation: by process, path and place of the allocation."""
        self.releases: Counter[str] = Counter()
        """Files released whose open had allocated, by path."""

    # -- modules ----------------------------------------------------------------------------------

    def of_module(self, module: Module, kind: str, when: str) -> None:
        """Report what ``module`` registered and allocated and has not given back; ``kind`` is that of memory."""
        k = self.kernel
        for left in self._registrations():
            if module.image.owns(left.stack):
                still = "registered" if left.kind == "registration-left" else "active"
                k.report(
                    left.kind,
                    left.headline or f"BUG: kmock: {left.kind} in {module.name}",
                    lines=[f"{left.what} is still {still} after {when}"],
                    stacks={"access": left.stack},
                    key=left.key,
                    hint=f"call {left.undo}() for {left.what} on this way out too",
                )
        k.slab.report_caches(module.image.owns)
        k.census.report(lambda a: module.image.owns(a.alloc_stack), kind)

    def references(self, module: Module) -> None:
        """Report references to ``module`` that no open file explains."""
        k = self.kernel
        files = [file for process in k.processes for file in process.files.values()]
        explained = any(module in (file.f_op.owner, file.cdev and file.cdev.owner) for file in files)
        if not module.refcnt or explained or k.reports.find((module, "references")):
            return
        stack = module.taken[-1] if module.taken else k.capture()
        k.report(
            "module-ref-imbalance",
            f"BUG: kmock: module-ref-imbalance in {module.name}",
            lines=[f"{module.name} has {module.refcnt} reference(s) and no open file: it can't be unloaded"],
            stacks={"access": stack},
            key=(module, "references"),
        )

    def _registrations(self) -> Iterator[Registration]:
        for name in SUBSYSTEMS:
            if name in vars(self.kernel):
                yield from getattr(self.kernel, name).registrations()

    # -- files ------------------------------------------------------------------------------------

    def call_failed(self, task: Task, since: int) -> None:
        """A system call of ``task`` failed: report what it allocated, after allocation ``since``, and lost."""
        k = self.kernel
        left = {a.seq for a in living(k) if a.seq > since and a.task is task} if k.seq > since else set()
        if left:
            lost = self._lost(left)
            if lost:
                k.census.report(lambda a: a.seq in lost, "leak-on-error-path")

    def released(self, file: File, task: Task) -> None:
        """A file was released: report what its open allocated, if it is lost or piles up."""
        k = self.kernel
        first, last = file.open_seqs
        if first == last or not self._worth_a_look(file.path):
            return
        left = {
            a.seq: next(iter(user_frames(a.alloc_stack)), None)
            for a in living(k)
            if first < a.seq <= last and a.task is task
        }
        bad = self._lost(set(left)) if left else set()
        for seq, site in left.items():
            self.rounds[task.pid, file.path, site] += 1
            if self.rounds[task.pid, file.path, site] > 1:
                bad.add(seq)
        if bad:
            k.census.report(lambda a: a.seq in bad, "leak-per-open")

    def _worth_a_look(self, path: str) -> bool:
        # Looking goes over all that lives. What every round leaves shows in the first ones, and in some later one.
        self.releases[path] += 1
        return self.releases[path] <= LOOKS or self.releases[path] % LOOKS == 0

    def _lost(self, seqs: set[int]) -> set[int]:
        """Return those of the living allocations ``seqs`` that no pointer leads to."""
        k = self.kernel
        everything = living(k)
        reached = reachable(k, everything)
        return {a.seq for a in everything if a.seq in seqs and a.seq not in reached}
