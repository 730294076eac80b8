"""Members of structs that are touched without the lock that guards them.

Where a struct's definition says which lock that is (``guarded_by()``), every access without it is a mistake. Where it
doesn't, a machine with lints learns it: a member that was touched again and again under a lock of its own struct, by
more than one task or interrupt, is guarded by that; an access without any lock between such accesses is told of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_OFFSET
from kmock.report import ObjectInfo

if TYPE_CHECKING:
    from kmock.lang.fields import GuardedField
    from kmock.lang.struct import Struct
    from kmock.machine import Kernel
    from kmock.stack import Stack

USUAL = 5
"""So many accesses under a lock make it the one that guards the member."""
_INTERRUPT = HARDIRQ_MASK | NMI_MASK | SOFTIRQ_OFFSET


class Suspect(NamedTuple):
    """An access without a lock."""

    stack: Stack
    who: object
    write: bool


class Usage:
    """How a member of one object was touched under its lock."""

    __slots__ = ("count", "suspect", "users", "wrote")

    def __init__(self) -> None:
        self.count = 0
        self.users: set[object] = set()
        self.wrote = False
        self.suspect: Suspect | None = None


class GuardedFields:
    """The members that locks guard, of one kernel."""

    __slots__ = ("_usages", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._usages: dict[tuple[int, int], Usage] = {}
        """By the allocation's serial number and the member's address."""

    def touched(self, view: Struct, field: GuardedField, *, write: bool) -> None:
        """Look at an access to ``field`` of ``view``."""
        k = self.kernel
        if not k.config.lockdep or not (field.declared or k.config.lint):
            return
        guarded = self._guarded(view, field)
        if not field.declared:
            self._learn(view, field, guarded=guarded, write=write)
        elif not guarded and self._initialised(view, field):
            self._report(view, field, k.capture(), f"which is guarded_by({field.locks[0]!r})", write=write)

    def _guarded(self, view: Struct, field: GuardedField) -> bool:
        """Whether the task holds one of the locks that may guard the member."""
        k = self.kernel
        held = k.cpu.task.held
        if not held:
            return False
        places = {int(view._ptr) + type(view)._fields[name].at(view) for name in field.locks}
        return any(k.mem.embedded.address(one.lock) in places for one in held)

    def _initialised(self, view: Struct, field: GuardedField) -> bool:
        """Whether anybody else can know the object: its lock is made usable before."""
        return bool(getattr(view, field.locks[0]).of(self.kernel).ready)

    def _learn(self, view: Struct, field: GuardedField, *, guarded: bool, write: bool) -> None:
        k = self.kernel
        origin = view._ptr.origin
        if origin is None:
            return
        key = origin.seq, int(view._ptr) + field.at(view)
        usage = self._usages.get(key)
        who: object = "interrupt" if k.cpu.preempt_count & _INTERRUPT else k.cpu.task
        if not guarded:
            if usage is not None and usage.count >= USUAL and usage.suspect is None and not self._excused():
                usage.suspect = Suspect(k.capture(), who, write)
            return
        if usage is None:
            usage = self._usages[key] = Usage()
        usage.count += 1
        usage.users.add(who)
        usage.wrote |= write
        suspect = usage.suspect
        if suspect is not None and suspect.who != who and len(usage.users) > 1 and (usage.wrote or suspect.write):
            why = f"which was touched {usage.count} times under a lock of its struct, before and after"
            self._report(view, field, suspect.stack, why, write=suspect.write)
            self._usages[key] = Usage()

    def _excused(self) -> bool:
        """Another lock, or RCU, may be what protects the access."""
        task = self.kernel.cpu.task
        return bool(task.rcu_depth) or any(not held.is_map for held in task.held)

    def _report(self, view: Struct, field: GuardedField, stack: Stack, why: str, *, write: bool) -> None:
        k = self.kernel
        member = f"{type(view).__name__}.{field.name}"
        k.report(
            "lock-unprotected-field",
            f"BUG: kmock: lock-unprotected-field in {k.symbol(stack)}",
            lines=[f"{'write to' if write else 'read of'} {member} without a lock, {why}"],
            stacks={"access": stack},
            key=("unprotected", type(view), field.name),
            object=ObjectInfo(int(view._ptr) + field.at(view), field.size(k.layout.bits), member),
        )
