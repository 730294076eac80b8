"""``<linux/align.h>``: rounding to a power of two."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr

T = TypeVar("T", bound=int)


def ALIGN(x: T, a: int) -> T:
    """``x`` rounded up to a multiple of ``a``, a power of two; a pointer stays a pointer."""
    return x + (-int(x) & a - 1)  # type: ignore[return-value]  # an int of x's own kind


def ALIGN_DOWN(x: T, a: int) -> T:
    """``x`` rounded down to a multiple of ``a``, a power of two."""
    low = int(x) & a - 1
    return x + -low  # type: ignore[return-value]  # an int of x's own kind


def PTR_ALIGN(p: Ptr, a: int) -> Ptr:
    """``p`` rounded up to a multiple of ``a``."""
    return ALIGN(p, a)


def IS_ALIGNED(x: int, a: int) -> bool:
    """Whether ``x`` is a multiple of ``a``, a power of two."""
    return not int(x) & a - 1


__getattr__ = header_getattr(__name__)
__all__ = ["ALIGN", "ALIGN_DOWN", "IS_ALIGNED", "PTR_ALIGN"]
