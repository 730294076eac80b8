"""How drivers count their areas: whether what ``mmap`` and ``open`` add is what ``close`` takes away.

The kernel calls ``open`` once for each area that a fork, a split or a move makes, and ``close`` once for each that
goes; the first area of a mapping comes with the driver's ``mmap``. A driver that counts areas in a number of its own
has to do so in all three. Numbers that these functions name are looked at before and after each call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.stack import end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.machine import Kernel
    from kmock.mm.vma import vm_area_struct

Place = tuple[int, object]
"""The ``id()`` of what holds a number, and its name there."""

_CLOSED: Final = "close"


class Lineage:
    """All areas that came of one mmap(), and what their driver counted for them."""

    __slots__ = ("areas", "down", "holders", "odd", "total", "up")

    def __init__(self) -> None:
        self.areas = 1
        self.total: dict[Place, int] = {}
        self.up: set[Place] = set()
        self.down: set[Place] = set()
        self.odd: set[Place] = set()
        """Numbers that changed by more than one, and so count something else."""
        self.holders: list[Any] = []
        """Keeps what holds the numbers, so that a place means one thing."""

    def note(self, before: dict[Place, int], after: dict[Place, int], *, closing: bool) -> None:
        """Take down what one call changed."""
        for place, value in after.items():
            delta = value - before.get(place, value)
            if not delta:
                continue
            if delta not in (1, -1) or (delta < 0) is not closing:
                self.odd.add(place)
            self.total[place] = self.total.get(place, 0) + delta
            (self.down if delta < 0 else self.up).add(place)


class AreaCounts:
    """Watches the counts of one machine's drivers."""

    __slots__ = ("_lineages", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._lineages: dict[vm_area_struct, Lineage] = {}

    def before(self, vma: vm_area_struct, handler: object) -> dict[Place, int]:
        """Look at the numbers that a handler names, before it is called."""
        return dict(_numbers(vma, handler, []))

    def mapped(self, vma: vm_area_struct, handler: object, before: dict[Place, int]) -> None:
        """The driver's mmap has set ``vma`` up: it may count it from now on."""
        ops = vma.vm_ops
        if ops is None or ops.close is None:
            return
        lineage = self._lineages[vma] = Lineage()
        lineage.note(before, dict(_numbers(vma, handler, lineage.holders)), closing=False)

    def called(self, vma: vm_area_struct, operation: Callable[[vm_area_struct], Any] | None, old: Any = None) -> None:
        """Call ``open`` for an area made of ``old``, or ``close``, and take down what it counts."""
        closing = old is None
        lineage = self._lineages.pop(vma, None) if closing else self._lineages.get(old)
        if lineage is None:
            if operation is not None:
                operation(vma)
            return
        before = dict(_numbers(vma, operation, lineage.holders))
        if operation is not None:
            operation(vma)
        after = dict(_numbers(vma, operation, lineage.holders))
        lineage.note(before, after, closing=closing)
        if not closing:
            lineage.areas += 1
            self._lineages[vma] = lineage
            return
        lineage.areas -= 1
        if not lineage.areas:
            self._settle(lineage, operation, after)

    def _settle(self, lineage: Lineage, close: object, after: dict[Place, int]) -> None:
        """The last area of a mapping is gone: what was added and what was taken away must be the same."""
        for place in sorted(lineage.down - lineage.odd, key=lambda place: str(place[1])):
            left = lineage.total[place]
            if left and (place in lineage.up or after.get(place, 0) < 0):
                self._report(place, left, close)

    def _report(self, place: Place, left: int, close: object) -> None:
        k = self.kernel
        stack = (*end_of(close), *k.capture())
        forgot = "open or mmap does not count every area that close takes off" if left < 0 else "close forgets some"
        k.report(
            "vma-open-close-imbalance",
            f"BUG: kmock: vma-open-close-imbalance in {k.symbol(stack)}",
            lines=[f"{place[1]} is off by {left:+d} once all areas of the mapping are gone: {forgot}"],
            stacks={"access": stack},
            key=("areas", place),
        )


def _numbers(vma: vm_area_struct, function: object, holders: list[Any]) -> Iterator[tuple[Place, int]]:
    """Yield the whole numbers that ``function`` may count in: by name, in what it can reach from ``vma`` or by itself."""
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return
    names = set(code.co_names)
    roots: list[Any] = [vma.vm_private_data, getattr(vma.vm_file, "private_data", None)]
    for name, cell in zip(code.co_freevars, getattr(function, "__closure__", None) or (), strict=False):
        try:
            roots.append(cell.cell_contents)
        except ValueError:
            continue
        yield from _number(cell, name, cell.cell_contents, holders)
    scope = getattr(function, "__globals__", {})
    for name in names & scope.keys():
        roots.append(scope[name])
        yield from _number(scope, name, scope[name], holders)
    for root in roots:
        yield from _inside(root, names, holders, depth=2)


def _inside(holder: Any, names: set[str], holders: list[Any], *, depth: int) -> Iterator[tuple[Place, int]]:
    if isinstance(holder, dict):
        members = holder.items()
    elif isinstance(holder, list) and len(holder) <= 16:
        members = enumerate(holder)  # type: ignore[assignment]
    elif type(holder).__module__.partition(".")[0] in ("builtins", "kmock") or isinstance(holder, type):
        return
    else:
        members = ((name, value) for name, value in getattr(holder, "__dict__", {}).items() if name in names)  # type: ignore[assignment]
    for name, value in members:
        yield from _number(holder, name, value, holders)
        if depth > 1 and not isinstance(value, int):
            yield from _inside(value, names, holders, depth=depth - 1)


def _number(holder: Any, name: object, value: object, holders: list[Any]) -> Iterator[tuple[Place, int]]:
    if value.__class__ is int:
        holders.append(holder)
        yield (id(holder), name), value
