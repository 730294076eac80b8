"""``<linux/limits.h>`` and ``<vdso/limits.h>``: the range of each integer type."""

from __future__ import annotations

from kmock.linux._header import header_getattr

U8_MAX = (1 << 8) - 1
S8_MAX = U8_MAX >> 1
S8_MIN = -S8_MAX - 1
U16_MAX = (1 << 16) - 1
S16_MAX = U16_MAX >> 1
S16_MIN = -S16_MAX - 1
U32_MAX = (1 << 32) - 1
S32_MAX = U32_MAX >> 1
S32_MIN = -S32_MAX - 1
U64_MAX = (1 << 64) - 1
S64_MAX = U64_MAX >> 1
S64_MIN = -S64_MAX - 1
USHRT_MAX, SHRT_MAX, SHRT_MIN = U16_MAX, S16_MAX, S16_MIN
UINT_MAX, INT_MAX, INT_MIN = U32_MAX, S32_MAX, S32_MIN
ULONG_MAX, LONG_MAX, LONG_MIN = U64_MAX, S64_MAX, S64_MIN
ULLONG_MAX, LLONG_MAX, LLONG_MIN = U64_MAX, S64_MAX, S64_MIN
SIZE_MAX, SSIZE_MAX, UINTPTR_MAX, PHYS_ADDR_MAX = U64_MAX, S64_MAX, U64_MAX, U64_MAX
PATH_MAX = 4096
NAME_MAX = 255

__getattr__ = header_getattr(__name__)
__all__ = [
    "INT_MAX",
    "INT_MIN",
    "LLONG_MAX",
    "LLONG_MIN",
    "LONG_MAX",
    "LONG_MIN",
    "NAME_MAX",
    "PATH_MAX",
    "PHYS_ADDR_MAX",
    "S8_MAX",
    "S8_MIN",
    "S16_MAX",
    "S16_MIN",
    "S32_MAX",
    "S32_MIN",
    "S64_MAX",
    "S64_MIN",
    "SHRT_MAX",
    "SHRT_MIN",
    "SIZE_MAX",
    "SSIZE_MAX",
    "U8_MAX",
    "U16_MAX",
    "U32_MAX",
    "U64_MAX",
    "UINTPTR_MAX",
    "UINT_MAX",
    "ULLONG_MAX",
    "ULONG_MAX",
    "USHRT_MAX",
]
