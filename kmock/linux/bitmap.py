"""``<linux/bitmap.h>``: arrays of bits in simulated memory. ``map`` is a pointer, or a Struct's member that is an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel import bitops
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.gfp import __GFP_ZERO

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel


@api(since="4.19", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="bitmap_free", fails=True)
def bitmap_alloc(k: Kernel, nbits: int, flags: int) -> Ptr:
    """Allocate the words of a map of ``nbits`` bits; NULL if there is no memory."""
    return k.slab.kmalloc(bitops.nbytes(k, nbits), flags)


@api(since="4.19", sleeps=Sleeps.GFP, illegal=Where.NMI, undo="bitmap_free", fails=True)
def bitmap_zalloc(k: Kernel, nbits: int, flags: int) -> Ptr:
    """Allocate a map of ``nbits`` zeroes; NULL if there is no memory."""
    return k.slab.kmalloc(bitops.nbytes(k, nbits), flags | __GFP_ZERO)


@api(since="4.19", illegal=Where.NMI)
def bitmap_free(k: Kernel, bitmap: Ptr) -> None:
    """Free what ``bitmap_alloc()`` gave."""
    k.slab.kfree(bitmap)


@api(since="2.6.0")
def bitmap_zero(k: Kernel, dst: Any, nbits: int) -> None:
    """Clear a whole map."""
    bitops.write(k, dst, nbits, 0)


@api(since="2.6.0")
def bitmap_fill(k: Kernel, dst: Any, nbits: int) -> None:
    """Set a whole map, the rest of its last word included."""
    bitops.write(k, dst, nbits, (1 << bitops.nbytes(k, nbits) * 8) - 1)


@api(since="3.3")
def bitmap_set(k: Kernel, map: Any, start: int, nbits: int) -> None:
    """Set ``nbits`` bits from ``start`` on."""
    end = start + nbits
    bitops.write(k, map, end, bitops.read(k, map, bitops.nbytes(k, end) * 8) | (1 << end) - (1 << start))


@api(since="3.3")
def bitmap_clear(k: Kernel, map: Any, start: int, nbits: int) -> None:
    """Clear ``nbits`` bits from ``start`` on."""
    end = start + nbits
    bitops.write(k, map, end, bitops.read(k, map, bitops.nbytes(k, end) * 8) & ~((1 << end) - (1 << start)))


@api(since="2.6.0")
def bitmap_weight(k: Kernel, src: Any, nbits: int) -> int:
    """How many of the first ``nbits`` bits are 1."""
    return bitops.read(k, src, nbits).bit_count()


@api(since="2.6.0")
def bitmap_empty(k: Kernel, src: Any, nbits: int) -> bool:
    """Whether none of the first ``nbits`` bits is 1."""
    return not bitops.read(k, src, nbits)


@api(since="2.6.0")
def bitmap_full(k: Kernel, src: Any, nbits: int) -> bool:
    """Whether all of the first ``nbits`` bits are 1."""
    return bitops.read(k, src, nbits).bit_count() == nbits


@api(since="3.0")
def bitmap_find_next_zero_area(k: Kernel, map: Any, size: int, start: int, nr: int, align_mask: int) -> int:
    """Where ``nr`` zeroes in a row begin, from ``start`` on and aligned; ``size`` or more if nowhere."""
    bits = bitops.read(k, map, size)
    while True:
        at = bitops.find_next(k, map, size, start, wanted=0) + align_mask & ~align_mask
        taken = bits >> at & (1 << nr) - 1
        if at + nr > size:
            return at + nr
        if not taken:
            return at
        start = at + taken.bit_length()


__getattr__ = header_getattr(__name__)
__all__ = [
    "bitmap_alloc",
    "bitmap_clear",
    "bitmap_empty",
    "bitmap_fill",
    "bitmap_find_next_zero_area",
    "bitmap_free",
    "bitmap_full",
    "bitmap_set",
    "bitmap_weight",
    "bitmap_zalloc",
    "bitmap_zero",
]
