"""``<linux/bitops.h>``: single bits of ``unsigned long`` words in simulated memory.

``addr`` is a pointer to the words, or a member of a Struct that is an array: ``set_bit(3, dev.flags)``. The calls without underscores
are atomic; those that return what the bit was are also ordered with what is around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import bitops
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.bits import *  # noqa: F403 -- the C header includes it
from kmock.linux.bits import __all__ as _bits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel


@api(since="1.0")
def set_bit(k: Kernel, nr: int, addr: Any) -> None:
    """Set bit ``nr``."""
    bitops.change(k, nr, addr, bitops.set_mask)


@api(since="2.2")
def test_and_set_bit(k: Kernel, nr: int, addr: Any) -> int:
    """Set bit ``nr``: what it was."""
    return bitops.change(k, nr, addr, bitops.set_mask)


@api(since="1.0")
def __set_bit(k: Kernel, nr: int, addr: Any) -> None:
    """Set bit ``nr``, not atomically."""
    bitops.change(k, nr, addr, bitops.set_mask)


@api(since="2.2")
def __test_and_set_bit(k: Kernel, nr: int, addr: Any) -> int:
    """Set bit ``nr``, not atomically: what it was."""
    return bitops.change(k, nr, addr, bitops.set_mask)


@api(since="1.0")
def clear_bit(k: Kernel, nr: int, addr: Any) -> None:
    """Clear bit ``nr``."""
    bitops.change(k, nr, addr, bitops.clear_mask)


@api(since="2.2")
def test_and_clear_bit(k: Kernel, nr: int, addr: Any) -> int:
    """Clear bit ``nr``: what it was."""
    return bitops.change(k, nr, addr, bitops.clear_mask)


@api(since="1.0")
def __clear_bit(k: Kernel, nr: int, addr: Any) -> None:
    """Clear bit ``nr``, not atomically."""
    bitops.change(k, nr, addr, bitops.clear_mask)


@api(since="2.2")
def __test_and_clear_bit(k: Kernel, nr: int, addr: Any) -> int:
    """Clear bit ``nr``, not atomically: what it was."""
    return bitops.change(k, nr, addr, bitops.clear_mask)


@api(since="1.0")
def change_bit(k: Kernel, nr: int, addr: Any) -> None:
    """Flip bit ``nr``."""
    bitops.change(k, nr, addr, bitops.flip_mask)


@api(since="2.2")
def test_and_change_bit(k: Kernel, nr: int, addr: Any) -> int:
    """Flip bit ``nr``: what it was."""
    return bitops.change(k, nr, addr, bitops.flip_mask)


@api(since="1.0")
def __change_bit(k: Kernel, nr: int, addr: Any) -> None:
    """Flip bit ``nr``, not atomically."""
    bitops.change(k, nr, addr, bitops.flip_mask)


@api(since="2.2")
def __test_and_change_bit(k: Kernel, nr: int, addr: Any) -> int:
    """Flip bit ``nr``, not atomically: what it was."""
    return bitops.change(k, nr, addr, bitops.flip_mask)


@api(since="1.0")
def test_bit(k: Kernel, nr: int, addr: Any) -> int:
    """What bit ``nr`` is."""
    return bitops.test(k, nr, addr)


@api(since="2.6.28")
def test_and_set_bit_lock(k: Kernel, nr: int, addr: Any) -> int:
    """Set bit ``nr``: what it was; what follows comes after, as behind a lock."""
    return bitops.change(k, nr, addr, bitops.set_mask)


@api(since="2.6.28")
def clear_bit_unlock(k: Kernel, nr: int, addr: Any) -> None:
    """Clear bit ``nr``; what was done before is seen by who sets it next, as behind an unlock."""
    bitops.change(k, nr, addr, bitops.clear_mask)


# -- searching ----------------------------------------------------------------------------------------------------


@api(since="2.2")
def find_first_bit(k: Kernel, addr: Any, size: int) -> int:
    """The first bit that is 1; ``size`` if none is."""
    return bitops.find_next(k, addr, size, 0, wanted=1)


@api(since="2.2")
def find_first_zero_bit(k: Kernel, addr: Any, size: int) -> int:
    """The first bit that is 0; ``size`` if none is."""
    return bitops.find_next(k, addr, size, 0, wanted=0)


@api(since="2.4")
def find_next_bit(k: Kernel, addr: Any, size: int, offset: int) -> int:
    """The first bit from ``offset`` on that is 1; ``size`` if none is."""
    return bitops.find_next(k, addr, size, offset, wanted=1)


@api(since="2.2")
def find_next_zero_bit(k: Kernel, addr: Any, size: int, offset: int) -> int:
    """The first bit from ``offset`` on that is 0; ``size`` if none is."""
    return bitops.find_next(k, addr, size, offset, wanted=0)


@api(since="2.6.34")
def for_each_set_bit(k: Kernel, addr: Any, size: int) -> Iterator[int]:
    """The bits that are 1, one after the other: C's first argument is the loop's variable."""
    return bitops.each_set(k, addr, size)


# -- numbers ------------------------------------------------------------------------------------------------------


def ffs(x: int) -> int:
    """The lowest bit that is 1, counted from 1; 0 of 0."""
    return (x & -x).bit_length()


def fls(x: int) -> int:
    """The highest bit of 32 that is 1, counted from 1; 0 of 0."""
    return (x & 0xFFFF_FFFF).bit_length()


def fls64(x: int) -> int:
    """The highest bit of 64 that is 1, counted from 1; 0 of 0."""
    return (x & 0xFFFF_FFFF_FFFF_FFFF).bit_length()


def __ffs(word: int) -> int:
    """The lowest bit that is 1, counted from 0; undefined of 0, which is refused here."""
    assert word, "__ffs(0) is undefined: test for 0 first"
    return ffs(word) - 1


def hweight32(w: int) -> int:
    """How many of 32 bits are 1."""
    return (w & 0xFFFF_FFFF).bit_count()


def hweight64(w: int) -> int:
    """How many of 64 bits are 1."""
    return (w & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


hweight_long = hweight64

__getattr__ = header_getattr(__name__)
_OWN = [
    "__change_bit",
    "__clear_bit",
    "__ffs",
    "__set_bit",
    "__test_and_change_bit",
    "__test_and_clear_bit",
    "__test_and_set_bit",
    "change_bit",
    "clear_bit",
    "clear_bit_unlock",
    "ffs",
    "find_first_bit",
    "find_first_zero_bit",
    "find_next_bit",
    "find_next_zero_bit",
    "fls",
    "fls64",
    "for_each_set_bit",
    "hweight32",
    "hweight64",
    "hweight_long",
    "set_bit",
    "test_and_change_bit",
    "test_and_clear_bit",
    "test_and_set_bit",
    "test_and_set_bit_lock",
    "test_bit",
]
__all__ = sorted({*_OWN, *_bits})  # noqa: PLE0605 -- a list
