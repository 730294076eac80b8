"""What is left when a call, or the machine's life, ends: memory, locks, scopes, mappings.

kmemleak tells of memory that nothing points to. The census tells of everything that is still there,
grouped by the place that allocated it. It has two phases: what the call itself made is looked at when
the call ends, the rest when the machine stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.sanitizers.describe import object_info
from kmock.sanitizers.kmemleak import leak_lines
from kmock.sanitizers.object import SCAN_HELD, SCAN_IGNORE, SCAN_NOT_LEAK, Allocation
from kmock.sanitizers.reach import living, reachable, size_of
from kmock.stack import site

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.report import Report
    from kmock.stack import Stack

# Kinds of leak that kmemleak would tell of as well, in its own words.
_AS_KMEMLEAK = ("leak-unreachable", "leak-on-error-path", "leak-at-remove", "vmalloc-leak")


_COUNTED = frozenset(("slab", "page", "vmalloc", "percpu", "mmio"))
"""Areas whose allocations are somebody's to give back, and so have an ordinal of their own."""


class Census:
    """Counts what is left. Subsystems add their own checks with :meth:`register`."""

    __slots__ = ("_call_began", "_checks", "_standing", "_told", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._checks: list[Callable[[], object]] = []
        self._told: set[int] = set()
        """Ordinals of the allocations that were reported."""
        self._call_began = kernel.seq
        self._standing: list[object] = []
        """Processes and modules that the call found there."""

    def register(self, check: Callable[[], object]) -> None:
        """Have ``check`` called when the machine stops; it makes its own reports."""
        self._checks.append(check)

    def told(self, a: Allocation) -> None:
        """Somebody else reported this allocation, or its failed release, which is why it is left."""
        if a.live and a.area in _COUNTED:
            self._told.add(a.seq)

    def knows(self, a: Allocation) -> bool:
        """Whether somebody reported it."""
        return a.seq in self._told

    # -- phases -----------------------------------------------------------------------------------

    def begin_call(self) -> None:
        """The test's own call begins: what is allocated from now on is charged to it."""
        self._call_began = self.kernel.seq
        k = self.kernel
        self._standing = [*k.processes, *k.modules.loaded.values()]
        if "devices" in vars(k):
            self._standing += k.devices.plugged
        self.kernel.balance.begin_call()

    def end_call(self) -> None:
        """The call is over: report what it allocated that is still there, and what state it left."""
        began = self._call_began
        k = self.kernel
        k.halt(spare=self._standing)
        k.balance.end_call()
        if "dma_pools" in vars(k):
            k.dma_pools.end_call(began)
        if "dma" in vars(k):
            k.dma.debug.end_call(began)
        # What a process' open files and a loaded module still use is theirs until they go.
        in_use = [process.task for process in k.processes if process.files]
        self.report(lambda a: a.seq > began and a.task not in in_use and not k.modules.made(a))
        if "resources" in vars(k):
            k.resources.end_call(in_use)
        self._state()

    def finish(self) -> None:
        """The machine stops: report everything that is still there."""
        if "stacks" in vars(self.kernel):
            self.kernel.stacks.reap()
        self.kernel.balance.finish()
        for check in self._checks:
            check()
        self.report(lambda _: True)
        self._state()

    # -- memory -----------------------------------------------------------------------------------

    def report(self, mine: Callable[[Allocation], bool], kind: str = "") -> list[Report]:
        """Report the living allocations that ``mine`` says yes to, one report for each place that allocated.

        ``kind`` overrides the kind of report. What was reported once is not reported again.
        """
        everything = living(self.kernel)
        left = [a for a in everything if a.seq not in self._told and is_charged(a) and mine(a)]
        if not left:
            return []
        reached = reachable(self.kernel, everything)
        groups: dict[tuple[Any, ...], list[Allocation]] = {}
        for a in left:
            self.told(a)
            as_kind = (kind if a.area != "mmio" else "") or leak_kind(a, reached=a.seq in reached)
            if reference_left(self.kernel, a):
                as_kind = "refcount-leak"
            groups.setdefault((as_kind, site(a.alloc_stack), a.area), []).append(a)
        made = [self._report_group(group[0], members) for group, members in groups.items()]
        return [report for report in made if report is not None]

    def _report_group(self, kind: str, members: list[Allocation]) -> Report | None:
        k = self.kernel
        first = members[0]
        n = len(members)
        total = sum(a.size for a in members)
        stacks = {**_reference(k, first), "allocated": first.alloc_stack}
        headline = f"BUG: kmock: {kind} in {k.symbol(next(iter(stacks.values())))}"
        if kind in _AS_KMEMLEAK and k.config.kmemleak:
            headline = f"unreferenced object {first.addr:#010x} (size {size_of(first)}):"
        phys = k.mem.translate(first.addr)
        shown = k.ram.bytes[phys : phys + min(size_of(first), 32)].tobytes() if phys is not None else b""
        return k.report(
            kind,
            headline,
            lines=[
                *leak_lines(k.clock, first, first.addr, shown),
                f"{n} allocation{'s' * (n > 1)}, {total} bytes, never given back by {first.undo}()",
            ],
            stacks=stacks,
            object=object_info(k, first, first.addr),
            attributes={"count": n, "total": total, "size": first.size},
        )

    # -- state ------------------------------------------------------------------------------------

    def _state(self) -> None:
        for cpu in self.kernel.cpus.made:
            self._task(cpu.task)

    def _task(self, task: Task) -> None:
        if task.flags:
            self.kernel.page_alloc.scopes.end(task)
        if task.kmap:
            self.kernel.page_alloc.highmem.end(task)


def reference_left(k: Kernel, a: Allocation) -> Stack:
    """Where a reference to an object was taken that keeps it alive: one that a counter in it counts; empty if none."""
    if not k.mem.embedded.frames or a.phys < 0:
        return ()
    counters = (value for value in k.mem.embedded.within(a.phys, a.size) if hasattr(value, "reference_left"))
    return next(filter(None, (counter.reference_left(k) for counter in counters)), ())


def _reference(k: Kernel, a: Allocation) -> dict[str, Stack]:
    stack = reference_left(k, a)
    return {"access": stack} if stack else {}


def is_charged(a: Allocation) -> bool:
    """Whether the driver must give it back, and not some kernel object that holds it for the driver."""
    held = a.scan & (SCAN_HELD | SCAN_NOT_LEAK | SCAN_IGNORE) or a.reserved
    return not held and site(a.alloc_stack) is not None


def leak_kind(a: Allocation, *, reached: bool) -> str:
    """Return the kind of report for a leaked allocation; its class may name one of its own as ``leak_kind``."""
    if getattr(a, "released_by", ""):
        return "page-refcount-leak"
    own = getattr(a, "leak_kind", "") or {"page": "page-leak", "vmalloc": "vmalloc-leak"}.get(a.area, "")
    return own or ("leak-reachable" if reached else "leak-unreachable")
