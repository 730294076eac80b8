"""Who uses which bus addresses: the trees of resources (``kernel/resource.c``)."""

from __future__ import annotations

import errno
from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kmock.sanitizers.leftovers import Registration
from kmock.stack import user_frames

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from kmock.kernel.task import Task
    from kmock.machine import Kernel
    from kmock.stack import Frame, Stack

IORESOURCE_IO: Final = 0x100
IORESOURCE_MEM: Final = 0x200
IORESOURCE_TYPE_BITS: Final = 0x1F00
IORESOURCE_EXT_TYPE_BITS: Final = 0x0100_0000
IORESOURCE_SYSRAM: Final = 0x0100_0000
IORESOURCE_SYSTEM_RAM: Final = IORESOURCE_MEM | IORESOURCE_SYSRAM
IORESOURCE_BUSY: Final = 0x8000_0000

SIZEOF_RESOURCE: Final = 64
_GFP_KERNEL: Final = 0xCC0
_PHYS_END: Final = (1 << 46) - 1
_PORTS_END: Final = 0xFFFF
_MAX_IORES_LEVEL: Final = 5


class Resource:
    """``struct resource``: the addresses ``start`` to ``end``, both included, and what lies in them."""

    def __init__(self, start: int = 0, end: int = 0, name: str = "", flags: int = 0, desc: int = 0) -> None:
        self.start = start
        self.end = end
        self.name = name
        self.flags = flags
        self.desc = desc
        self.parent: Resource | None = None
        self.children: list[Resource] = []
        """By address, and disjoint."""
        self.stack: Stack = ()
        """Where a region was requested."""
        self.task: Task | None = None
        self.phase = ""

    @property
    def child(self) -> Resource | None:
        """The lowest of its children."""
        return self.children[0] if self.children else None

    @property
    def sibling(self) -> Resource | None:
        """The next child of its parent."""
        if self.parent is None:
            return None
        beside = self.parent.children
        at = beside.index(self) + 1
        return beside[at] if at < len(beside) else None

    def descendants(self, depth: int = 0) -> Iterator[tuple[int, Resource]]:
        """Everything below, depth first, each with its depth."""
        for child in self.children:
            yield depth, child
            yield from child.descendants(depth + 1)

    def overlaps(self, start: int, end: int) -> bool:
        """Whether any of ``start`` to ``end``, both included, is its own."""
        return self.start <= end and start <= self.end

    def __repr__(self) -> str:
        # As %pR shows it (lib/vsprintf.c).
        kind, width = ("io ", 6) if self.flags & IORESOURCE_IO else ("mem", 10)
        return f"[{kind} {self.start:#0{width}x}-{self.end:#0{width}x}]"


@dataclass(frozen=True, slots=True)
class _Refused:
    """A request for a region that somebody else had."""

    start: int
    end: int
    holder: Resource
    stack: Stack
    by: Frame | None


class Resources:
    """The resource trees of one kernel."""

    __slots__ = ("_refused", "iomem", "ioport", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.iomem = Resource(0, _PHYS_END, "PCI mem", IORESOURCE_MEM)
        self.ioport = Resource(0, _PORTS_END, "PCI IO", IORESOURCE_IO)
        self._refused: list[_Refused] = []
        for start, end in (r for node in kernel.config.reported_ranges() for r in node):
            ram = Resource(start, end - 1, "System RAM", IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY)
            insert(self.iomem, ram)
        kernel.census.register(self.finish)

    # -- regions ----------------------------------------------------------------------------------

    def request_region(self, root: Resource, start: int, n: int, name: str, flags: int = 0) -> Resource | None:
        """``__request_region()``: claim ``n`` addresses from ``start``; None where they are somebody's."""
        k = self.kernel
        k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274")
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_RESOURCE, _GFP_KERNEL):
            return None
        end = start + n - 1
        new = Resource(start, end, name)
        new.stack = k.capture()
        new.task = k.current
        new.phase = k.phase
        parent = root
        while True:
            new.flags = parent.flags & (IORESOURCE_TYPE_BITS | IORESOURCE_EXT_TYPE_BITS) | IORESOURCE_BUSY | flags
            conflict = insert(parent, new)
            if conflict is None:
                self._refused = [r for r in self._refused if r.holder.parent and not new.overlaps(r.start, r.end)]
                return new
            if conflict is parent or conflict.flags & IORESOURCE_BUSY:
                self._refused.append(_Refused(start, end, conflict, new.stack, _driver(new.stack)))
                return None
            parent = conflict

    def release_region(self, root: Resource, start: int, n: int) -> None:
        """``__release_region()``: give back exactly what was claimed."""
        end = start + n - 1
        inside = root.children
        while (found := next((r for r in inside if r.start <= start and end <= r.end), None)) is not None:
            if not found.flags & IORESOURCE_BUSY:
                inside = found.children
                continue
            if (found.start, found.end) != (start, end):
                break
            remove(found)
            return
        self._not_claimed(root, start, end)

    def _not_claimed(self, root: Resource, start: int, end: int) -> None:
        k = self.kernel
        stacks = {"access": k.capture()}
        near = next((r for _, r in root.descendants() if r.stack and r.overlaps(start, end)), None)
        if near is not None:
            stacks["requested"] = near.stack
        k.report(
            "region-release-bad",
            f"resource: Trying to free nonexistent resource <{start:#018x}-{end:#018x}>",
            lines=[f"{near} {near.name} is what was requested there"] if near is not None else [],
            stacks=stacks,
        )

    # -- what ioremap() asks ----------------------------------------------------------------------

    def intersects_ram(self, start: int, end: int) -> bool:
        """Whether any of ``[start, end)`` is system RAM."""
        return any(a < end and start < b for a, b in self.kernel.ram.ranges)

    def mapped(self, start: int, end: int, stack: Stack) -> None:
        """Somebody mapped ``[start, end)``: report where that is not the addresses of one device, or not his own."""
        self._spans(start, end - 1)
        regions = [r for _, r in self.iomem.descendants() if r.flags & IORESOURCE_BUSY and r.overlaps(start, end - 1)]
        refused = next((r for r in self._refused if r.start < end and start <= r.end), None)
        if refused is not None and refused.by is not None and _went_on(refused.by, stack):
            self._busy_ignored(refused)
        elif not regions and self.kernel.config.lint:
            headline = f"BUG: kmock: ioremap-unclaimed in {self.kernel.symbol(stack)}"
            self.kernel.report("ioremap-unclaimed", headline, lines=[f"[mem {start:#010x}-{end - 1:#010x}]"])

    def _spans(self, start: int, end: int) -> None:
        """``iomem_map_sanity_check()``: a mapping that leaves the hardware resource it begins in."""
        for _, r in self.iomem.descendants():
            leaves = r.start >> 12 > start >> 12 or r.end >> 12 < end >> 12
            if r.overlaps(start, end) and leaves and not r.flags & IORESOURCE_BUSY:
                k = self.kernel
                text = f"requesting [mem {start:#018x}-{end:#018x}], which spans more than {r.name} {r!r}"
                stack = k.capture()
                k.report(
                    "ioremap-spans-resources",
                    f"resource: resource sanity check: {text}",
                    lines=[f"caller {k.symbol(stack)} mapping multiple BARs"],
                    stacks={"access": stack},
                )
                return

    def _busy_ignored(self, refused: _Refused) -> None:
        k = self.kernel
        stack = k.capture()
        k.report(
            "region-busy-ignored",
            f"BUG: kmock: region-busy-ignored in {k.symbol(stack)}",
            lines=[f"[mem {refused.start:#010x}-{refused.end:#010x}] was refused: {refused.holder.name} has it"],
            stacks={"access": stack, "refused": refused.stack},
        )

    # -- at the end -------------------------------------------------------------------------------

    def regions(self) -> list[Resource]:
        """Every region that was requested and not released."""
        return [r for root in (self.iomem, self.ioport) for _, r in root.descendants() if r.stack]

    def registrations(self) -> Iterator[Registration]:
        """The same, as what a module has to take back."""
        return (
            Registration(f"{r!r} {r.name}", r.stack, _undo(r), "region-leak", key=(r, "leak")) for r in self.regions()
        )

    def end_call(self, in_use: Collection[Task]) -> None:
        """The test's call is over: report the regions that it requested, but those of loaded modules and open files."""
        modules = self.kernel.modules.loaded.values()
        for r in self.regions():
            if r.phase == "call" and r.task not in in_use and not any(m.image.owns(r.stack) for m in modules):
                self._left(r)

    def finish(self) -> None:
        """The machine stops: report the regions that nobody released."""
        for r in self.regions():
            self._left(r)

    def _left(self, r: Resource) -> None:
        self.kernel.report(
            "region-leak",
            f"BUG: kmock: region-leak in {self.kernel.symbol(r.stack)}",
            lines=[f"{r!r} {r.name} was never released by {_undo(r)}()"],
            stacks={"allocated": r.stack},
            key=(r, "leak"),
        )

    def show(self, root: Resource) -> str:
        """Text of ``/proc/iomem`` and ``/proc/ioports``."""
        width = 4 if root.end < 0x10000 else 8
        rows = [
            f"{'  ' * depth}{r.start:0{width}x}-{r.end:0{width}x} : {r.name or '<BAD>'}\n"
            for depth, r in root.descendants()
            if depth < _MAX_IORES_LEVEL
        ]
        return "".join(rows)


def insert(parent: Resource, new: Resource) -> Resource | None:
    """``__request_resource()``: make ``new`` a child; return what is in the way, ``parent`` where it is outside."""
    if not parent.start <= new.start <= new.end <= parent.end:
        return parent
    for child in parent.children:
        if child.overlaps(new.start, new.end):
            return child
    insort(parent.children, new, key=lambda r: r.start)
    new.parent = parent
    return None


def adopt(parent: Resource, new: Resource) -> Resource | None:
    """``__insert_resource()``: as :func:`insert`, but what ``new`` covers becomes its child; return what is in the way."""
    while (conflict := insert(parent, new)) is not None:
        if conflict is parent or conflict is new:
            return conflict
        if conflict.start > new.start or conflict.end < new.end:
            break
        if (conflict.start, conflict.end) == (new.start, new.end):
            break
        parent = conflict
    else:
        return None
    inside = [r for r in parent.children if r.overlaps(new.start, new.end)]
    for r in inside:
        if r.start < new.start or r.end > new.end:
            return r
    for r in inside:
        parent.children.remove(r)
        r.parent = new
    new.children = inside
    return insert(parent, new)


def remove(old: Resource) -> int:
    """``__release_resource()``: take a resource out of its tree, with its children; 0 or -EINVAL."""
    if old.parent is None or old not in old.parent.children:
        return -errno.EINVAL
    old.parent.children.remove(old)
    old.parent = None
    return 0


def _undo(region: Resource) -> str:
    return "release_region" if region.flags & IORESOURCE_IO else "release_mem_region"


def _driver(stack: Stack) -> Frame | None:
    return next(iter(user_frames(stack)), None)


def _went_on(refused: Frame, stack: Stack) -> bool:
    """Whether ``stack`` goes through the function that was refused."""
    return any((f.file, f.function) == (refused.file, refused.function) for f in user_frames(stack))
