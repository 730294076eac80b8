"""``<asm/barrier.h>``: the order of memory accesses, as other processors and devices see it.

A test that explores interleavings takes its idea of order from these; the simulated processors themselves never reorder.
C's macros take an lvalue: loads get the value here, ``smp_load_acquire(dev.ready)``, and stores the view and the
member's name, as with WRITE_ONCE(): ``smp_store_release(dev, "ready", 1)``.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from kmock.current import current
from kmock.lang.struct import assign
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel

T = TypeVar("T")


def _fence(k: Kernel, *, read: bool = True, write: bool = True) -> None:
    if k.explorer is not None:
        k.explorer.fence(read=read, write=write)
    if write and "dma" in vars(k):
        k.dma.barriers.fence()


@api(since="1.0")
def mb(k: Kernel) -> None:
    """Order all accesses before with all after, those of devices included."""
    _fence(k)


@api(since="1.0")
def rmb(k: Kernel) -> None:
    """Order the loads before with those after."""
    _fence(k, write=False)


@api(since="1.0")
def wmb(k: Kernel) -> None:
    """Order the stores before with those after."""
    _fence(k, read=False)


@api(since="2.3.40")
def smp_mb(k: Kernel) -> None:
    """``mb()`` between processors."""
    _fence(k)


@api(since="2.3.40")
def smp_rmb(k: Kernel) -> None:
    """``rmb()`` between processors."""
    _fence(k, write=False)


@api(since="2.3.40")
def smp_wmb(k: Kernel) -> None:
    """``wmb()`` between processors."""
    _fence(k, read=False)


@api(since="3.16")
def smp_mb__before_atomic(k: Kernel) -> None:
    """``smp_mb()`` before an atomic operation that orders nothing itself."""
    _fence(k)


@api(since="3.16")
def smp_mb__after_atomic(k: Kernel) -> None:
    """``smp_mb()`` behind an atomic operation that orders nothing itself."""
    _fence(k)


@api(since="4.7")
def smp_acquire__after_ctrl_dep(k: Kernel) -> None:
    """Make the condition that was just tested an acquire."""
    _fence(k, write=False)


@api(since="3.19")
def dma_rmb(k: Kernel) -> None:
    """``rmb()`` for coherent memory that a device shares."""
    _fence(k, write=False)


@api(since="3.19")
def dma_wmb(k: Kernel) -> None:
    """``wmb()`` for coherent memory that a device shares."""
    _fence(k, read=False)


def smp_load_acquire(x: T) -> T:
    """The value of ``x``; what follows comes after what its ``smp_store_release()`` came after."""
    explorer = current.get().explorer
    if explorer is not None:
        explorer.loaded(acquire=True)
    return x


def smp_store_release(view: Any, member: str | int, value: Any) -> None:
    """C's ``smp_store_release(&view->member, value)``: all that came before is seen by who loads it with acquire."""
    explorer = current.get().explorer
    with explorer.storing(release=True) if explorer is not None else nullcontext():
        assign(view, member, value)


def smp_store_mb(view: Any, member: str | int, value: Any) -> None:
    """C's ``smp_store_mb(view->member, value)``: WRITE_ONCE(), then smp_mb()."""
    explorer = current.get().explorer
    with explorer.storing() if explorer is not None else nullcontext():
        assign(view, member, value)
    smp_mb()


__getattr__ = header_getattr(__name__)
__all__ = [
    "dma_rmb",
    "dma_wmb",
    "mb",
    "rmb",
    "smp_acquire__after_ctrl_dep",
    "smp_load_acquire",
    "smp_mb",
    "smp_mb__after_atomic",
    "smp_mb__before_atomic",
    "smp_rmb",
    "smp_store_mb",
    "smp_store_release",
    "smp_wmb",
    "wmb",
]
