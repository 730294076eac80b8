"""How a driver holds per-CPU memory: variables, typed cookies, and references to one processor's copy
(``include/linux/percpu-defs.h``).
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kmock.current import current
from kmock.kernel.held import PerKernel
from kmock.kernel.preempt import check_preemption_disabled, preempt_disable, preempt_enable
from kmock.lang.fields import field_for
from kmock.lang.ptr import Ptr, make_ptr
from kmock.lang.struct import Struct, as_ptr, offsetof, sizeof
from kmock.mm.page_addr import null
from kmock.mm.percpu import Area, Copy
from kmock.mm.percpu_misuse import note_update

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.lang.fields import Field
    from kmock.machine import Kernel
    from kmock.sanitizers.lockdep import Site


class Cookie(Ptr):
    """``type __percpu *``: what alloc_percpu() returns, for per_cpu_ptr() and its like. It points to no memory itself.

    Of a struct, ``cookie.member`` is the same for a member: ``this_cpu_inc(stats.packets)``.
    """

    type: Any

    def __getattr__(self, name: str) -> Cookie:
        if name.startswith("_") or name == "type":
            raise AttributeError(name)
        return member(self, self.type, name)


class Reference(Ptr):
    """One processor's copy of something that is no struct: a pointer whose ``value`` is what it points to."""

    type: Field

    @property
    def _ptr(self) -> Ptr:
        return make_ptr(int(self), self.origin)

    @property
    def value(self) -> Any:
        """The copy's value; assignable."""
        return self.type.load(self)  # type: ignore[arg-type]  # anything with a _ptr is a view

    @value.setter
    def value(self, value: Any) -> None:
        self.type.__set__(self, value)  # type: ignore[arg-type]  # as above


class PerCpuSymbol(PerKernel[Cookie]):
    """A static per-CPU variable by its name; ``variable.member`` is the cookie of a struct's member."""

    __slots__ = ("name", "type")

    def __init__(self, type: Any, name: str) -> None:
        super().__init__()
        self.type = type
        self.name = name

    def __getattr__(self, name: str) -> Cookie:
        if name.startswith("_"):
            raise AttributeError(name)
        return member(self.of(current.get()), self.type, name)

    def __repr__(self) -> str:
        return f"<per-CPU variable {self.name}>"


class PerCpuVariable(PerCpuSymbol):
    """Its definition; it lies in a kernel's per-CPU memory from the moment that something there touches it."""

    __slots__ = ("initial", "site")

    def __init__(self, type: Any, name: str, initial: Any, site: Site) -> None:
        super().__init__(type, name)
        self.initial = initial
        self.site = site

    def fresh(self) -> Cookie:
        """Place it, and give every processor the initial value."""
        k = current.get()
        area = k.percpu.define(sizeof(self.type), align_of(self.type), self.name, self.site)
        cookie = cookie_of(area, self.type)
        if self.initial is not None:
            for cpu in range(len(k.cpus)):
                there = copy_of(k, cookie, cpu)
                if isinstance(there, Struct):
                    k.mem.copy(there._ptr, as_ptr(self.initial), sizeof(self.type))
                else:
                    there.value = self.initial
        return cookie


class PerCpuDeclaration(PerCpuSymbol):
    """Its declaration: the definition, in whichever module that is, is found by name when it is first used."""

    __slots__ = ()

    def fresh(self) -> Cookie:
        """Look among the modules' globals, as a linker does."""
        for module in [*sys.modules.values()]:
            for value in [*getattr(module, "__dict__", {}).values()]:
                if value.__class__ is PerCpuVariable and value.name == self.name:
                    found: Cookie = value.of(current.get())
                    return found
        raise NameError(f"per-CPU variable {self.name!r} is declared but no module defines it: DEFINE_PER_CPU(...)")


# -- types ----------------------------------------------------------------------------------------


def align_of(type: Any) -> int:
    """C's ``__alignof__``."""
    return ctypes.alignment(scalar(type).ctype(current.get().layout.bits))


@lru_cache
def scalar(type: Any) -> Field:
    """Return what loads and stores a value of ``type``."""
    return field_for("value", type)


def cookie_of(area: Area, type: Any) -> Cookie:
    """Return the typed cookie of an area."""
    cookie: Cookie = _typed(Cookie, area.addr, area, type)
    return cookie


def _typed(cls: Any, address: int, origin: Any, type: Any) -> Any:
    p = int.__new__(cls, address)
    p.origin = origin
    p.type = type
    return p


def member(cookie: Cookie, type: Any, name: str) -> Cookie:
    """Return the cookie of a struct's member."""
    fields = getattr(type, "_fields", {})
    if name not in fields:
        raise AttributeError(f"per-CPU {getattr(type, '__name__', type)} has no member {name!r}")
    made: Cookie = _typed(Cookie, int(cookie) + offsetof(type, name), cookie.origin, fields[name].type)
    return made


# -- getting at a copy ----------------------------------------------------------------------------


def resolve(k: Kernel, pcp: Any) -> Ptr:
    """Return the cookie that a driver means: of a variable, of what alloc_percpu() returned, or a number."""
    if isinstance(pcp, (PerCpuVariable, PerCpuDeclaration)):
        return pcp.of(k)
    return as_ptr(0 if pcp is None else pcp)


def copy_of(k: Kernel, pcp: Any, cpu: int) -> Any:
    """Return processor ``cpu``'s copy: a Struct view, a reference with ``.value``, or a Ptr where no type is known.

    NULL stays NULL, so that its use is found: in the kernel it would lead to the first variable of all.
    """
    cookie = resolve(k, pcp)
    area: Any = cookie.origin
    address, origin = int(cookie), area
    if address:
        if area is None:
            area = k.percpu.area_at(address)
        address = address + k.percpu.offset(cpu) & (1 << 64) - 1
        origin = area.copy(cpu) if isinstance(area, Area) and cpu in k.percpu.unit_offsets else None
    if not isinstance(cookie, Cookie):
        return make_ptr(address, origin)
    if isinstance(cookie.type, type) and issubclass(cookie.type, Struct):
        return cookie.type.at(make_ptr(address, origin))
    return _typed(Reference, address, origin, scalar(cookie.type))


def this_copy(k: Kernel, pcp: Any) -> Any:
    """``this_cpu_ptr()``: this processor's copy; reported where the task may be moved to another."""
    check_preemption_disabled(k, "percpu-preemptible", "smp_processor_id", "debug_smp_processor_id")
    return copy_of(k, pcp, k.cpu.id)


def get(k: Kernel, pcp: Any) -> Any:
    """Turn preemption off: this processor's copy, which stays the right one until :func:`put`."""
    preempt_disable(k)
    k.current.pins += 1
    return copy_of(k, pcp, k.cpu.id)


def put(k: Kernel) -> None:
    """Undo :func:`get`."""
    task = k.current
    task.pins -= task.pins > 0
    preempt_enable(k)


def alloc(k: Kernel, type: Any, gfp: int, call: str) -> Cookie:
    """Allocate one of ``type`` for every processor: a typed cookie, NULL where that can't be."""
    size = sizeof(type)
    area = k.percpu.alloc(size, align_of(type), gfp, call)
    if area is not None:
        return cookie_of(area, type)
    failed: Cookie = _typed(Cookie, 0, null(call, size).origin, type)
    return failed


def alloc_bytes(k: Kernel, size: int, align: int, gfp: int, call: str) -> Ptr:
    """Allocate ``size`` bytes for every processor: a cookie without a type, NULL where that can't be."""
    area = k.percpu.alloc(size, align, gfp, call)
    return make_ptr(area.addr, area) if area is not None else null(call, size)


# -- operations on this processor's copy ----------------------------------------------------------


def checked(k: Kernel, operation: str) -> None:
    """``__this_cpu_preempt_check()``."""
    check_preemption_disabled(k, "percpu-preemptible", f"__this_cpu_{operation}", "__this_cpu_preempt_check")


def local(k: Kernel, pcp: Any) -> Reference:
    """This processor's copy, of which only a scalar will do; unchecked."""
    there = copy_of(k, pcp, k.cpu.id)
    if not isinstance(there, Reference):
        what = "a struct: name a member" if isinstance(there, Struct) else "memory of no type: use alloc_percpu(type)"
        raise TypeError(f"a this_cpu operation takes a per-CPU scalar, this is {what}")
    return there


def update(k: Kernel, pcp: Any, change: Callable[[Any], Any], *, safe: bool) -> tuple[Any, Any]:
    """Read, change and write back this processor's copy; return its value before and after.

    ``safe`` says that it is one instruction, as ``this_cpu_*()`` are on x86.
    """
    there = local(k, pcp)
    before = there.value
    there.value = change(before)
    if isinstance(there.origin, Copy):
        note_update(k, there.origin, int(there), safe=safe)
    return before, there.value
