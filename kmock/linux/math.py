"""``<linux/math.h>``: division and rounding."""

from __future__ import annotations

import math

from kmock.linux._header import header_getattr


def DIV_ROUND_UP(n: int, d: int) -> int:
    """``n / d``, rounded up."""
    return -(-int(n) // int(d))


def DIV_ROUND_CLOSEST(n: int, d: int) -> int:
    """``n / d``, rounded to the nearest."""
    return (int(n) + int(d) // 2) // int(d)


def round_up(x: int, y: int) -> int:
    """``x`` rounded up to a multiple of ``y``, a power of two."""
    return (int(x) - 1 | y - 1) + 1


def round_down(x: int, y: int) -> int:
    """``x`` rounded down to a multiple of ``y``, a power of two."""
    return int(x) & ~(y - 1)


def roundup(x: int, y: int) -> int:
    """``x`` rounded up to a multiple of ``y``, any number."""
    return DIV_ROUND_UP(x, y) * y


def rounddown(x: int, y: int) -> int:
    """``x`` rounded down to a multiple of ``y``, any number."""
    return int(x) - int(x) % y


def int_sqrt(x: int) -> int:
    """The integer square root."""
    return math.isqrt(int(x))


def abs_diff(a: int, b: int) -> int:
    """How far apart two numbers are."""
    return abs(a - b)


__getattr__ = header_getattr(__name__)
__all__ = [
    "DIV_ROUND_CLOSEST",
    "DIV_ROUND_UP",
    "abs_diff",
    "int_sqrt",
    "round_down",
    "round_up",
    "rounddown",
    "roundup",
]
