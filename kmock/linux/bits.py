"""``<linux/bits.h>``: single bits and masks."""

from __future__ import annotations

from kmock.linux._header import header_getattr

BITS_PER_BYTE = 8
BITS_PER_LONG = 64
BITS_PER_LONG_LONG = 64


def BIT(nr: int) -> int:
    """The number with just bit ``nr`` set."""
    return 1 << nr


BIT_ULL = BIT


def BIT_MASK(nr: int) -> int:
    """Bit ``nr`` within its word."""
    return 1 << nr % BITS_PER_LONG


def BIT_WORD(nr: int) -> int:
    """The word that bit ``nr`` is in."""
    return nr // BITS_PER_LONG


def GENMASK(h: int, l: int) -> int:
    """Bits ``l`` to ``h``, both included; AssertionError where ``l`` is above ``h``, as the compiler checks it."""
    assert h >= l, f"GENMASK({h}, {l}): the high bit comes first"
    return (1 << h + 1) - (1 << l)


GENMASK_ULL = GENMASK

__getattr__ = header_getattr(__name__)
__all__ = [
    "BIT",
    "BITS_PER_BYTE",
    "BITS_PER_LONG",
    "BITS_PER_LONG_LONG",
    "BIT_MASK",
    "BIT_ULL",
    "BIT_WORD",
    "GENMASK",
    "GENMASK_ULL",
]
