"""``<linux/percpu.h>``: memory that every processor has a copy of.

``alloc_percpu(u64)`` takes the type, and what it returns is no memory's address: ``per_cpu_ptr(p, cpu)`` is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.percpu_defs import *  # noqa: F403 -- the C header includes it
from kmock.linux.percpu_defs import __all__ as _percpu_defs
from kmock.linux.smp import *  # noqa: F403 -- the C header includes it
from kmock.linux.smp import __all__ as _smp
from kmock.mm import percpu_misuse, percpu_var
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.percpu import MIN_UNIT_SIZE as PCPU_MIN_UNIT_SIZE

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel
    from kmock.mm.percpu_var import Cookie


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="free_percpu", fails=True, sleeper="percpu-alloc-atomic")
def alloc_percpu(k: Kernel, type: Any) -> Cookie:
    """Allocate a zeroed object of ``type`` for every processor; NULL without memory."""
    return percpu_var.alloc(k, type, GFP_KERNEL, "alloc_percpu")


@api(since="3.18", sleeps=Sleeps.GFP, undo="free_percpu", fails=True, sleeper="percpu-alloc-atomic")
def alloc_percpu_gfp(k: Kernel, type: Any, gfp: int) -> Cookie:
    """``alloc_percpu()`` with gfp flags: one that may not sleep finds only what has pages already."""
    return percpu_var.alloc(k, type, gfp, "alloc_percpu_gfp")


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="free_percpu", fails=True, sleeper="percpu-alloc-atomic")
def __alloc_percpu(k: Kernel, size: int, align: int) -> Ptr:
    """Allocate ``size`` zeroed bytes for every processor, at most PCPU_MIN_UNIT_SIZE, aligned to at most a page."""
    return percpu_var.alloc_bytes(k, size, align, GFP_KERNEL, "__alloc_percpu")


@api(since="3.18", sleeps=Sleeps.GFP, undo="free_percpu", fails=True, sleeper="percpu-alloc-atomic")
def __alloc_percpu_gfp(k: Kernel, size: int, align: int, gfp: int) -> Ptr:
    """``__alloc_percpu()`` with gfp flags."""
    return percpu_var.alloc_bytes(k, size, align, gfp, "__alloc_percpu_gfp")


@api(since="2.6.0")
def free_percpu(k: Kernel, ptr: Any) -> None:
    """Give back what alloc_percpu() returned; NULL is nothing to do."""
    percpu_misuse.free(k, percpu_var.resolve(k, ptr))


__getattr__ = header_getattr(
    __name__, {"__alloc_reserved_percpu", "is_kernel_percpu_address", "per_cpu_ptr_to_phys", "pcpu_alloc_size"}
)
_OWN = [
    "PCPU_MIN_UNIT_SIZE",
    "__alloc_percpu",
    "__alloc_percpu_gfp",
    "alloc_percpu",
    "alloc_percpu_gfp",
    "free_percpu",
]
__all__ = sorted({*_OWN, *_percpu_defs, *_smp})  # noqa: PLE0605 -- a list
