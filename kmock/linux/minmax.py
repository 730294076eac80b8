"""``<linux/minmax.h>``: the smaller, the larger, the one in between."""

from __future__ import annotations

import builtins
from typing import Any

from kmock.linux._header import header_getattr


def min(x: int, y: int) -> int:
    """The smaller of two."""
    return builtins.min(x, y)


def max(x: int, y: int) -> int:
    """The larger of two."""
    return builtins.max(x, y)


def min3(x: int, y: int, z: int) -> int:
    """The smallest of three."""
    return builtins.min(x, y, z)


def max3(x: int, y: int, z: int) -> int:
    """The largest of three."""
    return builtins.max(x, y, z)


def min_t(type: Any, x: int, y: int) -> int:
    """The smaller of two, both cast to ``type`` first."""
    return builtins.min(cast(type, x), cast(type, y))


def max_t(type: Any, x: int, y: int) -> int:
    """The larger of two, both cast to ``type`` first."""
    return builtins.max(cast(type, x), cast(type, y))


def min_not_zero(x: int, y: int) -> int:
    """The smaller of two, where zero stands for no limit."""
    return builtins.min(x, y) if x and y else x or y


def clamp(val: int, lo: int, hi: int) -> int:
    """``val``, or the bound that it is beyond."""
    return builtins.min(builtins.max(val, lo), hi)


def clamp_t(type: Any, val: int, lo: int, hi: int) -> int:
    """``val``, or the bound that it is beyond, all cast to ``type`` first."""
    return clamp(cast(type, val), cast(type, lo), cast(type, hi))


def clamp_val(val: int, lo: int, hi: int) -> int:
    """``val``, or the bound that it is beyond."""
    return clamp(val, lo, hi)


def swap(a: Any, b: Any) -> tuple[Any, Any]:
    """Return both the other way round, to be assigned back."""
    return b, a


def cast(type: Any, value: int) -> int:
    """Return ``value`` cast to an integer type."""
    return int(type(value))


__getattr__ = header_getattr(__name__)
__all__ = ["clamp", "clamp_t", "clamp_val", "max", "max3", "max_t", "min", "min3", "min_not_zero", "min_t", "swap"]
