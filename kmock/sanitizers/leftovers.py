"""What a module, or a file's life from open to release, leaves behind.

The census at the end tells that something was left; this tells earlier whose it was and when. A module answers
for every allocation whose stack goes through its code. A file answers for what its open allocated, if that
outlives the release, and nothing points to it any more or the next round does the same again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kmock.sanitizers.object import SCAN_HELD
from kmock.sanitizers.reach import living, reachable
from kmock.stack import user_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType

    from kmock.drivers.core import device
    from kmock.fs.file import File
    from kmock.kernel.module import Module
    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Frame, Stack

SUBSYSTEMS = (
    "chrdevs", "misc", "devices", "buses", "pci", "classes", "irqs", "rcu", "timers", "hrtimers", "tasklets",
    "workqueues", "sched", "resources", "genpools",
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

    # -- devices ----------------------------------------------------------------------------------

    def registered_by(self, code: CodeType) -> list[Stack]:
        """Where everything was registered that is there now and came below a call of ``code``."""
        return [left.stack for left in self._registrations() if code in left.stack]

    def of_probe(self, dev: device, before: list[Stack], code: CodeType) -> None:
        """The probe of ``dev`` failed: report what it registered, below ``code``, and did not take back."""
        made = [stack for stack in self.registered_by(code) if not any(stack is b for b in before)]
        self._left_by(made, f"the probe of {dev.name} failed", "on the probe's way out")

    def of_binding(self, dev: device) -> None:
        """``dev`` lost its driver: report what the probe registered or allocated for it, and remove left."""
        k = self.kernel
        binding = dev.p
        assert binding is not None
        self._left_by(binding.made, f"{dev.name} was unbound", "in the driver's remove")
        if binding.seqs[0] < binding.seqs[1]:
            first, last = binding.seqs
            left = {a.seq for a in living(k) if first < a.seq <= last and a.task is binding.task}
            if lost := self._lost(left) if left else left:
                k.census.report(lambda a: a.seq in lost, "leak-at-remove")

    def _left_by(self, made: Iterable[Stack], when: str, where: str) -> None:
        k = self.kernel
        made = list(made)
        for left in self._registrations() if made else ():
            # What the kernel registered itself has an empty stack, of which there is one.
            if left.stack and any(left.stack is stack for stack in made):
                k.report(
                    left.kind,
                    left.headline or f"BUG: kmock: {left.kind} in {k.symbol(left.stack)}",
                    lines=[f"{left.what} is still there after {when}"],
                    stacks={"access": left.stack},
                    key=left.key or (left.stack, "left"),
                    hint=f"call {left.undo}() for {left.what} {where} too",
                )

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
        left = [a for a in living(k) if first < a.seq <= last and a.task is task]
        bad = self._lost({a.seq for a in left}) if left else set()
        for a in left:
            round = task.pid, file.path, next(iter(user_frames(a.alloc_stack)), None)
            self.rounds[round] += 1
            if self.rounds[round] > 1:
                bad.add(a.seq)
                if a.scan & SCAN_HELD:
                    self._piles_up(a, file.path)
        if bad:
            k.census.report(lambda a: a.seq in bad, "leak-per-open")

    def _piles_up(self, a: Allocation, path: str) -> None:
        """Report what each open gives to a device, which keeps it until the driver goes."""
        k = self.kernel
        k.report(
            "leak-per-open",
            f"BUG: kmock: leak-per-open in {k.symbol(a.alloc_stack)}",
            lines=[f"each open of {path} leaves one more to a device, which keeps it until its driver goes"],
            stacks={"allocated": a.alloc_stack},
            object=k.kasan.info(a, a.addr),
            key=("piles up", path, next(iter(user_frames(a.alloc_stack)), None)),
        )

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
