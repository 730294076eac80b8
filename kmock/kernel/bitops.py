"""Bits of arrays of ``unsigned long`` in simulated memory (``include/asm-generic/bitops``, ``lib/find_bit.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.struct import as_ptr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel


def _word(k: Kernel, nr: int, addr: Any) -> tuple[Ptr, int, int]:
    """Return where the word with bit ``nr`` lies, its bytes, and the bit's mask in it."""
    bits = k.layout.bits
    return as_ptr(addr) + nr // bits * (bits // 8), bits // 8, 1 << nr % bits


def change(k: Kernel, nr: int, addr: Any, how: Callable[[int, int], int]) -> int:
    """Have bit ``nr``'s word become ``how(word, mask)``; return what the bit was."""
    at, size, mask = _word(k, nr, addr)
    word = int.from_bytes(k.mem.load(at, 0, size), "little")
    k.mem.store(at, 0, how(word, mask).to_bytes(size, "little"))
    return int(bool(word & mask))


def test(k: Kernel, nr: int, addr: Any) -> int:
    """Return what bit ``nr`` is."""
    at, size, mask = _word(k, nr, addr)
    return int(bool(int.from_bytes(k.mem.load(at, 0, size), "little") & mask))


def set_mask(word: int, mask: int) -> int:
    """The bit becomes 1."""
    return word | mask


def clear_mask(word: int, mask: int) -> int:
    """The bit becomes 0."""
    return word & ~mask


def flip_mask(word: int, mask: int) -> int:
    """The bit becomes what it was not."""
    return word ^ mask


# -- whole maps -------------------------------------------------------------------------------------------


def read(k: Kernel, addr: Any, nbits: int) -> int:
    """Return the first ``nbits`` bits as a number."""
    data = k.mem.load(as_ptr(addr), 0, nbytes(k, nbits))
    return int.from_bytes(data, "little") & (1 << nbits) - 1


def write(k: Kernel, addr: Any, nbits: int, value: int) -> None:
    """Store ``value`` in the words of a map of ``nbits`` bits."""
    k.mem.store(as_ptr(addr), 0, value.to_bytes(nbytes(k, nbits), "little"))


def nbytes(k: Kernel, nbits: int) -> int:
    """Return the bytes of the words that ``nbits`` bits need."""
    return -(-nbits // k.layout.bits) * (k.layout.bits // 8)


def find_next(k: Kernel, addr: Any, size: int, offset: int, *, wanted: int) -> int:
    """Return the first bit from ``offset`` on that is ``wanted``; ``size`` if there is none before it."""
    if offset >= size:
        return size
    found = read(k, addr, size) ^ (0 if wanted else (1 << size) - 1)
    found = found >> offset << offset
    return (found & -found).bit_length() - 1 if found else size


def each_set(k: Kernel, addr: Any, size: int) -> Iterator[int]:
    """The bits that are 1, looked for anew after each."""
    bit = find_next(k, addr, size, 0, wanted=1)
    while bit < size:
        yield bit
        bit = find_next(k, addr, size, bit + 1, wanted=1)
