"""``<linux/percpu-defs.h>``: per-CPU variables, and what is done with this processor's copy.

``hits = DEFINE_PER_CPU(u64, "hits")`` may run at import. What C calls an lvalue is a reference here: ``per_cpu(hits, 1).value``
of a scalar, a view of a struct. ``this_cpu_inc(stats.packets)`` names a member of a variable or of what alloc_percpu() gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm import percpu_var
from kmock.mm.percpu_var import PerCpuDeclaration, PerCpuVariable
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.machine import Kernel


def DEFINE_PER_CPU(type: Any, name: str, initial: Any = None) -> PerCpuVariable:
    """Define a variable of ``type`` that every processor has a copy of, each starting as ``initial`` or zero."""
    return PerCpuVariable(type, name, initial, definition_site())


def DECLARE_PER_CPU(type: Any, name: str) -> PerCpuDeclaration:
    """Declare a variable that another module defines; NameError on use if none does."""
    return PerCpuDeclaration(type, name)


@api(since="2.5.20")
def per_cpu(k: Kernel, var: Any, cpu: int) -> Any:
    """Processor ``cpu``'s copy of a variable; nothing keeps its owner from changing it meanwhile."""
    return percpu_var.copy_of(k, var, cpu)


@api(since="2.6.0")
def per_cpu_ptr(k: Kernel, ptr: Any, cpu: int) -> Any:
    """Processor ``cpu``'s copy of what alloc_percpu() gave; of NULL it is NULL."""
    return percpu_var.copy_of(k, ptr, cpu)


@api(since="2.6.33")
def this_cpu_ptr(k: Kernel, ptr: Any) -> Any:
    """This processor's copy; reported where the task may be moved to another processor while it is used."""
    return percpu_var.this_copy(k, ptr)


@api(since="3.15")
def raw_cpu_ptr(k: Kernel, ptr: Any) -> Any:
    """This processor's copy, unchecked."""
    return percpu_var.copy_of(k, ptr, k.cpu.id)


@api(since="2.5.20", undo="put_cpu_var")
def get_cpu_var(k: Kernel, var: Any) -> Any:
    """Turn preemption off: this processor's copy, until ``put_cpu_var()``."""
    return percpu_var.get(k, var)


@api(since="2.5.20")
def put_cpu_var(k: Kernel, var: Any) -> None:
    """Undo ``get_cpu_var()``."""
    percpu_var.put(k)


@api(since="2.6.36", undo="put_cpu_ptr")
def get_cpu_ptr(k: Kernel, var: Any) -> Any:
    """Turn preemption off: this processor's copy of what alloc_percpu() gave, until ``put_cpu_ptr()``."""
    return percpu_var.get(k, var)


@api(since="2.6.36")
def put_cpu_ptr(k: Kernel, var: Any) -> None:
    """Undo ``get_cpu_ptr()``."""
    percpu_var.put(k)


# -- this_cpu_*(): safe anywhere: one instruction each ---------------------------------------------


@api(since="2.6.33")
def this_cpu_read(k: Kernel, pcp: Any) -> Any:
    """Value of this processor's copy."""
    return percpu_var.local(k, pcp).value


@api(since="2.6.33")
def this_cpu_write(k: Kernel, pcp: Any, val: Any) -> None:
    """Store ``val`` in this processor's copy."""
    percpu_var.local(k, pcp).value = val


@api(since="2.6.33")
def this_cpu_add(k: Kernel, pcp: Any, val: int) -> None:
    """Add ``val`` to this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now + val, safe=True)


@api(since="2.6.33")
def this_cpu_sub(k: Kernel, pcp: Any, val: int) -> None:
    """Subtract ``val`` from this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now - val, safe=True)


@api(since="2.6.33")
def this_cpu_and(k: Kernel, pcp: Any, val: int) -> None:
    """Keep the bits ``val`` of this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now & val, safe=True)


@api(since="2.6.33")
def this_cpu_or(k: Kernel, pcp: Any, val: int) -> None:
    """Set the bits ``val`` of this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now | val, safe=True)


@api(since="2.6.33")
def this_cpu_inc(k: Kernel, pcp: Any) -> None:
    """Add 1 to this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now + 1, safe=True)


@api(since="2.6.33")
def this_cpu_dec(k: Kernel, pcp: Any) -> None:
    """Subtract 1 from this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now - 1, safe=True)


@api(since="2.6.33")
def this_cpu_add_return(k: Kernel, pcp: Any, val: int) -> int:
    """Add ``val`` to this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now + val, safe=True)[1])


@api(since="2.6.33")
def this_cpu_sub_return(k: Kernel, pcp: Any, val: int) -> int:
    """Subtract ``val`` from this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now - val, safe=True)[1])


@api(since="2.6.33")
def this_cpu_inc_return(k: Kernel, pcp: Any) -> int:
    """Add 1 to this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now + 1, safe=True)[1])


@api(since="2.6.33")
def this_cpu_dec_return(k: Kernel, pcp: Any) -> int:
    """Subtract 1 from this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now - 1, safe=True)[1])


@api(since="2.6.33")
def this_cpu_xchg(k: Kernel, pcp: Any, nval: Any) -> Any:
    """Store ``nval`` in this processor's copy: its value before."""
    return percpu_var.update(k, pcp, lambda now: nval, safe=True)[0]


@api(since="2.6.33")
def this_cpu_cmpxchg(k: Kernel, pcp: Any, oval: Any, nval: Any) -> Any:
    """Store ``nval`` in this processor's copy if it is ``oval``: its value before."""
    return percpu_var.update(k, pcp, lambda now: nval if now == oval else now, safe=True)[0]


# -- raw_cpu_*(): unchecked, and not safe from interrupts ------------------------------------------


@api(since="3.15")
def raw_cpu_read(k: Kernel, pcp: Any) -> Any:
    """Value of this processor's copy."""
    return percpu_var.local(k, pcp).value


@api(since="3.15")
def raw_cpu_write(k: Kernel, pcp: Any, val: Any) -> None:
    """Store ``val`` in this processor's copy."""
    percpu_var.local(k, pcp).value = val


@api(since="3.15")
def raw_cpu_add(k: Kernel, pcp: Any, val: int) -> None:
    """Add ``val`` to this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now + val, safe=False)


@api(since="3.15")
def raw_cpu_sub(k: Kernel, pcp: Any, val: int) -> None:
    """Subtract ``val`` from this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now - val, safe=False)


@api(since="3.15")
def raw_cpu_and(k: Kernel, pcp: Any, val: int) -> None:
    """Keep the bits ``val`` of this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now & val, safe=False)


@api(since="3.15")
def raw_cpu_or(k: Kernel, pcp: Any, val: int) -> None:
    """Set the bits ``val`` of this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now | val, safe=False)


@api(since="3.15")
def raw_cpu_inc(k: Kernel, pcp: Any) -> None:
    """Add 1 to this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now + 1, safe=False)


@api(since="3.15")
def raw_cpu_dec(k: Kernel, pcp: Any) -> None:
    """Subtract 1 from this processor's copy."""
    percpu_var.update(k, pcp, lambda now: now - 1, safe=False)


@api(since="3.15")
def raw_cpu_add_return(k: Kernel, pcp: Any, val: int) -> int:
    """Add ``val`` to this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now + val, safe=False)[1])


@api(since="3.15")
def raw_cpu_sub_return(k: Kernel, pcp: Any, val: int) -> int:
    """Subtract ``val`` from this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now - val, safe=False)[1])


@api(since="3.15")
def raw_cpu_inc_return(k: Kernel, pcp: Any) -> int:
    """Add 1 to this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now + 1, safe=False)[1])


@api(since="3.15")
def raw_cpu_dec_return(k: Kernel, pcp: Any) -> int:
    """Subtract 1 from this processor's copy: its new value."""
    return int(percpu_var.update(k, pcp, lambda now: now - 1, safe=False)[1])


@api(since="3.15")
def raw_cpu_xchg(k: Kernel, pcp: Any, nval: Any) -> Any:
    """Store ``nval`` in this processor's copy: its value before."""
    return percpu_var.update(k, pcp, lambda now: nval, safe=False)[0]


@api(since="3.15")
def raw_cpu_cmpxchg(k: Kernel, pcp: Any, oval: Any, nval: Any) -> Any:
    """Store ``nval`` in this processor's copy if it is ``oval``: its value before."""
    return percpu_var.update(k, pcp, lambda now: nval if now == oval else now, safe=False)[0]


# -- __this_cpu_*(): for code that can't be preempted nor interrupted by another user --------------


@api(since="2.6.33")
def __this_cpu_read(k: Kernel, pcp: Any) -> Any:
    """Value of this processor's copy."""
    percpu_var.checked(k, "read")
    return percpu_var.local(k, pcp).value


@api(since="2.6.33")
def __this_cpu_write(k: Kernel, pcp: Any, val: Any) -> None:
    """Store ``val`` in this processor's copy."""
    percpu_var.checked(k, "write")
    percpu_var.local(k, pcp).value = val


@api(since="2.6.33")
def __this_cpu_add(k: Kernel, pcp: Any, val: int) -> None:
    """Add ``val`` to this processor's copy."""
    percpu_var.checked(k, "add")
    percpu_var.update(k, pcp, lambda now: now + val, safe=False)


@api(since="2.6.33")
def __this_cpu_sub(k: Kernel, pcp: Any, val: int) -> None:
    """Subtract ``val`` from this processor's copy."""
    percpu_var.checked(k, "add")
    percpu_var.update(k, pcp, lambda now: now - val, safe=False)


@api(since="2.6.33")
def __this_cpu_and(k: Kernel, pcp: Any, val: int) -> None:
    """Keep the bits ``val`` of this processor's copy."""
    percpu_var.checked(k, "and")
    percpu_var.update(k, pcp, lambda now: now & val, safe=False)


@api(since="2.6.33")
def __this_cpu_or(k: Kernel, pcp: Any, val: int) -> None:
    """Set the bits ``val`` of this processor's copy."""
    percpu_var.checked(k, "or")
    percpu_var.update(k, pcp, lambda now: now | val, safe=False)


@api(since="2.6.33")
def __this_cpu_inc(k: Kernel, pcp: Any) -> None:
    """Add 1 to this processor's copy."""
    percpu_var.checked(k, "add")
    percpu_var.update(k, pcp, lambda now: now + 1, safe=False)


@api(since="2.6.33")
def __this_cpu_dec(k: Kernel, pcp: Any) -> None:
    """Subtract 1 from this processor's copy."""
    percpu_var.checked(k, "add")
    percpu_var.update(k, pcp, lambda now: now - 1, safe=False)


@api(since="2.6.33")
def __this_cpu_add_return(k: Kernel, pcp: Any, val: int) -> int:
    """Add ``val`` to this processor's copy: its new value."""
    percpu_var.checked(k, "add_return")
    return int(percpu_var.update(k, pcp, lambda now: now + val, safe=False)[1])


@api(since="2.6.33")
def __this_cpu_sub_return(k: Kernel, pcp: Any, val: int) -> int:
    """Subtract ``val`` from this processor's copy: its new value."""
    percpu_var.checked(k, "add_return")
    return int(percpu_var.update(k, pcp, lambda now: now - val, safe=False)[1])


@api(since="2.6.33")
def __this_cpu_inc_return(k: Kernel, pcp: Any) -> int:
    """Add 1 to this processor's copy: its new value."""
    percpu_var.checked(k, "add_return")
    return int(percpu_var.update(k, pcp, lambda now: now + 1, safe=False)[1])


@api(since="2.6.33")
def __this_cpu_dec_return(k: Kernel, pcp: Any) -> int:
    """Subtract 1 from this processor's copy: its new value."""
    percpu_var.checked(k, "add_return")
    return int(percpu_var.update(k, pcp, lambda now: now - 1, safe=False)[1])


@api(since="2.6.33")
def __this_cpu_xchg(k: Kernel, pcp: Any, nval: Any) -> Any:
    """Store ``nval`` in this processor's copy: its value before."""
    percpu_var.checked(k, "xchg")
    return percpu_var.update(k, pcp, lambda now: nval, safe=False)[0]


@api(since="2.6.33")
def __this_cpu_cmpxchg(k: Kernel, pcp: Any, oval: Any, nval: Any) -> Any:
    """Store ``nval`` in this processor's copy if it is ``oval``: its value before."""
    percpu_var.checked(k, "cmpxchg")
    return percpu_var.update(k, pcp, lambda now: nval if now == oval else now, safe=False)[0]


__getattr__ = header_getattr(
    __name__,
    {
        "DEFINE_PER_CPU_ALIGNED", "DEFINE_PER_CPU_PAGE_ALIGNED", "DEFINE_PER_CPU_READ_MOSTLY", "DEFINE_PER_CPU_SHARED_ALIGNED",
        "this_cpu_cmpxchg_double",
    },
)  # fmt: skip
__all__ = [
    "DECLARE_PER_CPU",
    "DEFINE_PER_CPU",
    "__this_cpu_add",
    "__this_cpu_add_return",
    "__this_cpu_and",
    "__this_cpu_cmpxchg",
    "__this_cpu_dec",
    "__this_cpu_dec_return",
    "__this_cpu_inc",
    "__this_cpu_inc_return",
    "__this_cpu_or",
    "__this_cpu_read",
    "__this_cpu_sub",
    "__this_cpu_sub_return",
    "__this_cpu_write",
    "__this_cpu_xchg",
    "get_cpu_ptr",
    "get_cpu_var",
    "per_cpu",
    "per_cpu_ptr",
    "put_cpu_ptr",
    "put_cpu_var",
    "raw_cpu_add",
    "raw_cpu_add_return",
    "raw_cpu_and",
    "raw_cpu_cmpxchg",
    "raw_cpu_dec",
    "raw_cpu_dec_return",
    "raw_cpu_inc",
    "raw_cpu_inc_return",
    "raw_cpu_or",
    "raw_cpu_ptr",
    "raw_cpu_read",
    "raw_cpu_sub",
    "raw_cpu_sub_return",
    "raw_cpu_write",
    "raw_cpu_xchg",
    "this_cpu_add",
    "this_cpu_add_return",
    "this_cpu_and",
    "this_cpu_cmpxchg",
    "this_cpu_dec",
    "this_cpu_dec_return",
    "this_cpu_inc",
    "this_cpu_inc_return",
    "this_cpu_or",
    "this_cpu_ptr",
    "this_cpu_read",
    "this_cpu_sub",
    "this_cpu_sub_return",
    "this_cpu_write",
    "this_cpu_xchg",
]
