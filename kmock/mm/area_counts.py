"""How drivers count their areas: whether what ``mmap`` and ``open`` add is what ``close`` takes away.

The kernel calls ``open`` once for each area that a fork, a split or a move makes, and ``close`` once for each that
goes; the first area of a mapping comes with the driver's ``mmap``. A driver that counts areas in a number of its own
has to do so in all three. Numbers that these functions name are looked at before and after each call.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Final

from kmock.kernel.atomic import atomic_t
from kmock.lang.integers import Scalar
from kmock.lang.ptr import Ptr
from kmock.lang.struct import Struct
from kmock.stack import end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kmock.machine import Kernel
    from kmock.mm.vma import vm_area_struct

Place = tuple[int, object]
"""The ``id()`` of what holds a number, and its name there."""

_EMPTY: Final = types.CellType()
_NO_HOLDERS: Final = (type, types.FunctionType, types.ModuleType, types.MethodType, str, bytes)
MANY: Final = 32
"""More functions than a handler is made of, more elements than anybody counts areas in."""


class Lineage:
    """All areas that came of one mmap(), and what their driver counted for them."""

    __slots__ = ("areas", "down", "holders", "known", "odd", "total", "up")

    def __init__(self) -> None:
        self.areas = 1
        self.total: dict[Place, int] = {}
        self.up: set[Place] = set()
        self.down: set[Place] = set()
        self.odd: set[Place] = set()
        """Numbers that changed by more than one, and so count something else."""
        self.known: set[Place] = set()
        """Numbers that mmap could have changed: of others nobody knows whether it did."""
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
        return Numbers(self.kernel, handler, []).of(vma)

    def mapped(self, vma: vm_area_struct, handler: object, before: dict[Place, int]) -> None:
        """The driver's mmap has set ``vma`` up: it may count it from now on."""
        ops = vma.vm_ops
        if ops is None or ops.close is None:
            return
        lineage = self._lineages[vma] = Lineage()
        lineage.known.update(before)
        lineage.note(before, Numbers(self.kernel, handler, lineage.holders).of(vma), closing=False)

    def called(self, vma: vm_area_struct, operation: Callable[[vm_area_struct], Any] | None, old: Any = None) -> None:
        """Call ``open`` for an area made of ``old``, or ``close``, and take down what it counts."""
        closing = old is None
        lineage = self._lineages.pop(vma, None) if closing else self._lineages.get(old)
        if lineage is None:
            if operation is not None:
                operation(vma)
            return
        before = Numbers(self.kernel, operation, lineage.holders).of(vma)
        if operation is not None:
            operation(vma)
        after = Numbers(self.kernel, operation, lineage.holders).of(vma)
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
            if left and (place in lineage.up & lineage.known or after.get(place, 0) < 0):
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


class Numbers:
    """The whole numbers that one function may count in: by their names, in what it reaches by itself or from an area.

    Looking at them is no access of the driver's, so nothing is checked.
    """

    def __init__(self, k: Kernel, function: object, holders: list[Any]) -> None:
        self.k = k
        self.holders = holders
        self.names: set[str] = set()
        self.found: dict[Place, int] = {}
        self._functions: list[Any] = []
        self._visit(function)

    def _visit(self, function: Any) -> None:
        """Take down a function's names, and those of the driver's functions that it may call."""
        function = getattr(function, "__func__", function)
        code = getattr(function, "__code__", None)
        if code is None or function in self._functions or len(self._functions) == MANY:
            return
        self._functions.append(function)
        self.names.update(code.co_names)
        scope = function.__globals__
        called = [scope[name] for name in code.co_names if name in scope]
        called += [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY]
        for other in called:
            if isinstance(other, types.FunctionType) and not other.__module__.startswith("kmock."):
                self._visit(other)

    def of(self, vma: vm_area_struct) -> dict[Place, int]:
        """Return the numbers as they are now."""
        self._inside(vma.vm_private_data, 2)
        self._inside(getattr(vma.vm_file, "private_data", None), 2)
        for function in self._functions:
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                if cell != _EMPTY:
                    self._member(cell, name, cell.cell_contents, 3)
            scope = function.__globals__
            for name in sorted(self.names & scope.keys()):
                self._member(scope, name, scope[name], 3)
        return self.found

    def _member(self, holder: Any, name: object, value: Any, depth: int) -> None:
        if isinstance(value, int | atomic_t) and not isinstance(value, Ptr):
            self._number(holder, name, value)
        elif depth > 1 and value is not None and not isinstance(value, _NO_HOLDERS):
            self._inside(value, depth - 1)

    def _number(self, holder: Any, name: object, value: object) -> None:
        if isinstance(value, atomic_t):
            value = value.of(self.k).value
        if value.__class__ is int:
            self.holders.append(holder)
            self.found[id(holder), name] = value

    def _inside(self, holder: Any, depth: int) -> None:
        if isinstance(holder, Ptr | Struct):
            self._in_memory(holder)
            return
        for name, value in self._members(holder):
            self._member(holder, name, value, depth)

    def _members(self, holder: Any) -> Iterable[tuple[object, Any]]:
        if isinstance(holder, dict):
            return holder.items() if len(holder) <= MANY else ()
        if isinstance(holder, list):
            return enumerate(holder) if len(holder) <= MANY else ()
        if type(holder).__module__.partition(".")[0] in ("builtins", "kmock"):
            return ()
        return ((name, _attribute(holder, name)) for name in self.names)

    def _in_memory(self, holder: Ptr | Struct) -> None:
        """What the members of a struct in simulated memory hold, while the memory lives."""
        p = holder if isinstance(holder, Ptr) else holder._ptr
        origin = p.origin
        if origin is None or not origin.live or origin.phys < 0:
            return
        seen: tuple[type[Struct], int] | None = getattr(origin, "seen_as", None)
        if not isinstance(holder, Ptr):
            seen = type(holder), int(p) - origin.addr
        if seen is None:
            return
        struct, base = seen
        layout = struct.layout(self.k.layout.bits)
        for name in self.names & layout.offsets.keys():
            at, size = base + layout.offsets[name], layout.sizes[name]
            scalar = struct._fields[name].type
            if isinstance(scalar, type) and issubclass(scalar, Scalar) and 0 <= at <= origin.size - size:
                data = self.k.ram.bytes[origin.phys + at : origin.phys + at + size]
                # Signed, so that an unsigned count below zero is seen as what it is.
                self._number(origin, f"{struct.__name__}.{name}", int.from_bytes(data, "little", signed=True))


def _attribute(holder: Any, name: str) -> Any:
    """Return an attribute without running any code of its class."""
    try:
        own = object.__getattribute__(holder, "__dict__")
        if name in own:
            return own[name]
    except AttributeError:
        pass  # it has slots only
    for cls in type(holder).__mro__:
        found = cls.__dict__.get(name)
        if found is not None:
            return found.__get__(holder) if isinstance(found, types.MemberDescriptorType) else found
    return None
