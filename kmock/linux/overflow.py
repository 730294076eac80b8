"""``<linux/overflow.h>``: sums and products that must not wrap, and sizes made of them."""

from __future__ import annotations

import ctypes
from typing import Any

from kmock.lang.struct import Struct, offsetof, sizeof
from kmock.linux._header import header_getattr
from kmock.linux.limits import SIZE_MAX


def check_add_overflow(a: int, b: int, bits: int = 64) -> tuple[bool, int]:
    """Return whether ``a + b`` wraps in ``bits`` bits, and the wrapped sum."""
    return _wrapped(a + b, bits)


def check_sub_overflow(a: int, b: int, bits: int = 64) -> tuple[bool, int]:
    """Return whether ``a - b`` wraps in ``bits`` bits, and the wrapped difference."""
    return _wrapped(a - b, bits)


def check_mul_overflow(a: int, b: int, bits: int = 64) -> tuple[bool, int]:
    """Return whether ``a * b`` wraps in ``bits`` bits, and the wrapped product."""
    return _wrapped(a * b, bits)


def check_shl_overflow(a: int, s: int, bits: int = 64) -> tuple[bool, int]:
    """Return whether ``a << s`` loses bits in ``bits`` bits, and what is left."""
    return _wrapped(a << s, bits)


def _wrapped(value: int, bits: int) -> tuple[bool, int]:
    low = value & (1 << bits) - 1
    return low != value, low


def size_add(a: int, b: int) -> int:
    """``a + b``, or SIZE_MAX, which no allocation can meet, where that wraps."""
    return min(a + b, SIZE_MAX)


def size_mul(a: int, b: int) -> int:
    """``a * b``, or SIZE_MAX where that wraps."""
    return min(a * b, SIZE_MAX)


def size_sub(a: int, b: int) -> int:
    """``a - b``, or SIZE_MAX where that wraps."""
    return a - b if SIZE_MAX not in (a, b) and a >= b else SIZE_MAX


def array_size(a: int, b: int) -> int:
    """Bytes of ``a`` elements of ``b`` bytes, or SIZE_MAX."""
    return size_mul(a, b)


def array3_size(a: int, b: int, c: int) -> int:
    """Bytes of a two-dimensional array, or SIZE_MAX."""
    return size_mul(size_mul(a, b), c)


def flex_array_size(p: Any, member: str, count: int) -> int:
    """Bytes of ``count`` elements of the flexible array ``member`` of a Struct, or SIZE_MAX."""
    struct = p if isinstance(p, type) else type(p)
    return size_mul(count, _element_size(struct, member))


def struct_size(p: Any, member: str, count: int) -> int:
    """Bytes of a struct with ``count`` elements of its flexible array ``member``, or SIZE_MAX."""
    return size_add(sizeof(p if isinstance(p, type) else type(p)), flex_array_size(p, member, count))


struct_size_t = struct_size


def _element_size(struct: Any, member: str) -> int:
    if issubclass(struct, Struct):
        return int(struct._fields[member].element.size(64))
    return ctypes.sizeof(dict(struct._fields_)[member]._type_)


__getattr__ = header_getattr(__name__)
__all__ = [
    "SIZE_MAX",
    "array3_size",
    "array_size",
    "check_add_overflow",
    "check_mul_overflow",
    "check_shl_overflow",
    "check_sub_overflow",
    "flex_array_size",
    "offsetof",
    "size_add",
    "size_mul",
    "size_sub",
    "struct_size",
    "struct_size_t",
]
