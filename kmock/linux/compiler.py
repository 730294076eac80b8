"""``<linux/compiler.h>``: what C drivers say to their compiler."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, TypeVar

from kmock.current import current
from kmock.lang.struct import assign
from kmock.linux._header import header_getattr

T = TypeVar("T")


def likely(x: Any) -> bool:
    """The condition ``x``, which mostly holds."""
    return bool(x)


def unlikely(x: Any) -> bool:
    """The condition ``x``, which mostly doesn't."""
    return bool(x)


def READ_ONCE(x: T) -> T:
    """The value of ``x``, read once."""
    k = current.kernel
    if k is not None and k.explorer is not None:
        k.explorer.loaded()
    return x


def data_race(expr: T) -> T:
    """The value of an expression whose loads may race, on purpose and without harm (``CONFIG_KCSAN``)."""
    k = current.kernel
    if k is not None and k.explorer is not None:
        k.explorer.loaded(whole=True)
    return expr


def WRITE_ONCE(view: Any, member: str | int, value: Any) -> None:
    """C's ``WRITE_ONCE(view->member, value)``; a number names an array's element."""
    k = current.kernel
    with k.explorer.storing() if k is not None and k.explorer is not None else nullcontext():
        assign(view, member, value)


def barrier() -> None:
    """Order memory accesses for the compiler."""


__getattr__ = header_getattr(__name__)
__all__ = ["READ_ONCE", "WRITE_ONCE", "barrier", "data_race", "likely", "unlikely"]
