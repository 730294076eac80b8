"""``<linux/poison.h>``: what the kernel writes to memory that nobody may use."""

from __future__ import annotations

from kmock.kernel.list import LIST_POISON1, LIST_POISON2, POISON_POINTER_DELTA
from kmock.linux._header import header_getattr

POISON_INUSE = 0x5A
POISON_FREE = 0x6B
POISON_END = 0xA5
SLUB_RED_INACTIVE = 0xBB
SLUB_RED_ACTIVE = 0xCC
PAGE_POISON = 0xAA
POISON_FREE_INITMEM = 0xCC

__getattr__ = header_getattr(__name__)
__all__ = [
    "LIST_POISON1",
    "LIST_POISON2",
    "PAGE_POISON",
    "POISON_END",
    "POISON_FREE",
    "POISON_FREE_INITMEM",
    "POISON_INUSE",
    "POISON_POINTER_DELTA",
    "SLUB_RED_ACTIVE",
    "SLUB_RED_INACTIVE",
]
