"""Data races on simulated memory (``kernel/kcsan/``): two accesses, one of them a store, with no order between them.

KCSAN watches a few places for a moment and needs luck; here every access is compared with the last ones of all other
contexts, so that a race is found in any run that makes both accesses, whichever came first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kmock.stack import Stack, user_frames

if TYPE_CHECKING:
    from kmock.explore.machine import ExploredKernel
    from kmock.explore.order import Context
    from kmock.sanitizers.object import Allocation

WORD = 8
_REMEMBERED = 8  # loads of one statement that a data_race() around them can still mark


class Access(NamedTuple):
    """One access to memory."""

    context: int
    at: int
    """The context's own time."""
    who: str
    cpu: int
    start: int
    end: int
    write: bool
    marked: bool
    stack: Stack

    @property
    def text(self) -> str:
        """As KCSAN's report begins it."""
        op = "write" if self.write else "read"
        marked = " (marked)" if self.marked else ""
        return f"{op}{marked} to {self.start:#018x} of {self.end - self.start} bytes by {self.who} on cpu {self.cpu}:"

    @property
    def function(self) -> str:
        """The driver's function that makes it."""
        found = user_frames(self.stack)
        return found[0].function if found else "kmock"


class Cell:
    """What is known of the accesses to one word of memory, as long as it belongs to the same object."""

    __slots__ = ("accesses", "owner")

    def __init__(self, owner: Allocation | None) -> None:
        self.owner = owner
        self.accesses: dict[tuple[int, int, int, bool, bool], Access] = {}


class Whole:
    """A value of several words that is being read or written, word by word."""

    __slots__ = ("access", "torn_by")

    def __init__(self, access: Access) -> None:
        self.access = access
        self.torn_by: Access | None = None


class Races:
    """The accesses of one machine."""

    def __init__(self, kernel: ExploredKernel) -> None:
        self.kernel = kernel
        self._cells: dict[int, Cell] = {}
        self._loads: dict[int, list[tuple[Access, Allocation | None, object]]] = {}
        """Loads that may still turn out to be marked, by context, with the frame that makes them."""
        self._wholes: list[Whole] = []

    # -- what happens -----------------------------------------------------------------------------------

    def access(
        self, address: int, n: int, owner: Allocation | None, stack: Stack, *, write: bool, marked: bool, frame: object
    ) -> Access:
        """An access is made now by the driver's ``frame``."""
        context = self.kernel.explorer.order.current
        made = Access(
            context.number,
            context.clock[context.number],
            context.name,
            self.kernel.cpu.id,
            address,
            address + n,
            write,
            marked,
            stack,
        )
        pending = self._loads.setdefault(context.number, [])
        if write or marked or (pending and pending[0][2] is not frame):
            self.settle(context)
        if write or marked:
            self._note(made, owner, context)
        else:
            if len(pending) >= _REMEMBERED:
                self._note(*pending.pop(0)[:2], context)
            pending.append((made, owner, frame))
        return made

    def settle(self, context: Context) -> None:
        """The loads made so far were not marked."""
        pending = self._loads.get(context.number)
        while pending:
            access, owner, _ = pending.pop(0)
            self._note(access, owner, context)

    def mark(self, context: Context, line: int | None) -> list[int]:
        """The last load was marked, or all of the statement that begins in ``line``; return the words it loaded."""
        pending = self._loads.get(context.number, [])
        chosen = pending[-1:] if line is None else [p for p in pending if getattr(p[2], "f_lineno", 0) >= line]
        words: list[int] = []
        for entry in chosen:
            pending.remove(entry)
            access = entry[0]._replace(marked=True)
            self._note(access, entry[1], context)
            words += range(access.start // WORD, (access.end - 1) // WORD + 1)
        return words

    def freed(self, owner: Allocation, stack: Stack) -> None:
        """An object is freed, which nobody else may use meanwhile (``KCSAN_ACCESS_ASSERT`` in ``mm/slub.c``)."""
        context = self.kernel.explorer.order.current
        self.settle(context)
        at = context.clock[context.number]
        cpu = self.kernel.cpu.id
        free = Access(context.number, at, context.name, cpu, owner.addr, owner.end, True, False, stack)
        for word in range(owner.addr // WORD, (owner.end - 1) // WORD + 1):
            cell = self._cells.pop(word, None)
            if cell is None or cell.owner is not owner:
                continue
            for other in cell.accesses.values():
                if self._unordered(other, context):
                    self._report(free, other, owner, "assert: race")
                    return

    # -- words ------------------------------------------------------------------------------------------

    def _note(self, access: Access, owner: Allocation | None, context: Context) -> None:
        """Compare an access with what others did to the same bytes, and remember it."""
        for word in range(access.start // WORD, (access.end - 1) // WORD + 1):
            cell = self._cells.get(word)
            if cell is None or cell.owner is not owner:
                cell = self._cells[word] = Cell(owner)
            for other in cell.accesses.values():
                if (
                    (access.write or other.write)
                    and not (access.marked and other.marked)
                    and other.start < access.end
                    and access.start < other.end
                    and self._unordered(other, context)
                ):
                    self._race(access, other, owner)
                    break
            key = (access.context, access.start, access.end, access.write, access.marked)
            cell.accesses[key] = access

    def _unordered(self, other: Access, context: Context) -> bool:
        return other.context != context.number and context.clock.get(other.context, 0) < other.at

    # -- values of several words --------------------------------------------------------------------------

    def begin(self, access: Access) -> Whole:
        """A value of several words is accessed in steps from here on."""
        whole = Whole(access)
        self._wholes.append(whole)
        return whole

    def torn(self, access: Access) -> None:
        """Note whose value of several words this access gets between."""
        for whole in self._wholes:
            other = whole.access
            overlap = other.start < access.end and access.start < other.end
            if overlap and other.context != access.context and (other.write or access.write):
                whole.torn_by = whole.torn_by or access

    def end(self, whole: Whole, owner: Allocation | None) -> None:
        """The value is complete: a mixture of two, if somebody got between."""
        self._wholes.remove(whole)
        by = whole.torn_by
        if by is None:
            return
        reader, writer = (by, whole.access) if whole.access.write and not by.write else (whole.access, by)
        function = reader.function
        self._tell("atomicity-torn", f"BUG: kmock: atomicity-torn in {function}", reader, writer, owner)

    # -- telling ----------------------------------------------------------------------------------------

    def _race(self, access: Access, other: Access, owner: Allocation | None) -> None:
        if any(whole.torn_by in (access, other) or whole.access in (access, other) for whole in self._wholes):
            return  # end() says more
        self._report(access, other, owner, "data-race")

    def _report(self, access: Access, other: Access, owner: Allocation | None, what: str) -> None:
        first, second = sorted((access.function, other.function))
        self._tell("data-race", f"BUG: KCSAN: {what} in {first} / {second}", access, other, owner)

    def _tell(self, kind: str, headline: str, access: Access, other: Access, owner: Allocation | None) -> None:
        k = self.kernel
        lines = [""]
        for one in (access, other):
            lines += [one.text, *(f" {frame.symbol}" for frame in user_frames(one.stack)), ""]
        lines += ["Reported by Kernel Concurrency Sanitizer on:", f"CPU: {access.cpu}"]
        role = "conflicting write" if other.write else "conflicting read"
        k.report(
            kind,
            headline,
            lines=lines,
            stacks={"access": access.stack, role: other.stack},
            object=k.kasan.info(owner, access.start) if owner is not None else None,
            # One missing lock shows in every member of an object that it should have protected.
            key=("race", owner if owner is not None else access.start // WORD),
        )
