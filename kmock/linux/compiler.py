"""``<linux/compiler.h>``: what C drivers say to their compiler."""

from __future__ import annotations

from typing import Any, TypeVar

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
    return x


def WRITE_ONCE(view: Any, member: str | int, value: Any) -> None:
    """C's ``WRITE_ONCE(view->member, value)``; a number names an array's element."""
    if isinstance(member, int):
        view[member] = value
    else:
        setattr(view, member, value)


def barrier() -> None:
    """Order memory accesses for the compiler."""


__getattr__ = header_getattr(__name__)
__all__ = ["READ_ONCE", "WRITE_ONCE", "barrier", "likely", "unlikely"]
