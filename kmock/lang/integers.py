"""Fixed-width integers (``include/linux/types.h``): ``u8`` to ``u64``, ``s8`` to ``s64``, ``le16`` to ``be64``.

Each is a type for struct fields, arrays (``u8[16]`` or ``u8 * 16``), per-CPU variables and ``sizeof``;
called, it is C's cast: ``u8(-1) == 255``. The values themselves are Python ints.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, ClassVar, Literal

_Order = Literal["little", "big"]


class Scalar:
    """What the integer types share: their width, sign, byte order, and the cast."""

    size: ClassVar[int]
    signed: ClassVar[bool]
    order: ClassVar[_Order] = "little"

    def __new__(cls, value: int = 0) -> Any:
        """C's cast: the low bits of ``value``, by two's complement where signed."""
        bits = 8 * cls.size
        low = int(value) & ((1 << bits) - 1)
        return low - (1 << bits) if cls.signed and low >> bits - 1 else low

    def __class_getitem__(cls, n: int) -> Any:
        return cls * n  # type: ignore[operator]  # ctypes' metaclass does the multiplication


def _scalar(name: str, base: type, order: _Order = "little") -> Any:
    size = ctypes.sizeof(base)
    members = {
        "__slots__": (),
        "__module__": __name__,
        "__doc__": f"``{name}``: {8 * size} bits.",
        "size": size,
        "signed": base(-1).value < 0,
        "order": order,
    }
    return type(base)(name, (Scalar, base), members)


if TYPE_CHECKING:
    u8 = int
    u16 = int
    u32 = int
    u64 = int
    s8 = int
    s16 = int
    s32 = int
    s64 = int
    le16 = int
    le32 = int
    le64 = int
    be16 = int
    be32 = int
    be64 = int
else:
    u8 = _scalar("u8", ctypes.c_uint8)
    u16 = _scalar("u16", ctypes.c_uint16)
    u32 = _scalar("u32", ctypes.c_uint32)
    u64 = _scalar("u64", ctypes.c_uint64)
    s8 = _scalar("s8", ctypes.c_int8)
    s16 = _scalar("s16", ctypes.c_int16)
    s32 = _scalar("s32", ctypes.c_int32)
    s64 = _scalar("s64", ctypes.c_int64)
    le16 = _scalar("le16", ctypes.c_uint16)
    le32 = _scalar("le32", ctypes.c_uint32)
    le64 = _scalar("le64", ctypes.c_uint64)
    be16 = _scalar("be16", ctypes.c_uint16, "big")
    be32 = _scalar("be32", ctypes.c_uint32, "big")
    be64 = _scalar("be64", ctypes.c_uint64, "big")
