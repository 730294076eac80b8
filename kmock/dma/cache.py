"""Caches that don't see what devices do to memory (``arch/arm64/mm/dma-mapping.c``, on a machine with ``dma_coherent: false``).

The processor's view of a buffer is what lies in RAM here. While the buffer is mapped the device has a view of its own:
memory as it was when the cache was last written back. ``arch_sync_dma_*()`` carry bytes over, whole cachelines, and nothing
else does: a forgotten sync shows the stale bytes that it would show on the hardware.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.sanitizers.dma_entry import Mapping

CACHELINE: Final = 64
_PAGE: Final = 4096


class Caches:
    """What memory holds where the caches may hold something else."""

    __slots__ = ("_frames", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._frames: dict[int, tuple[int, bytearray]] = {}
        """By page frame: how many mappings reach into it, and its bytes as memory has them."""

    def begin(self, m: Mapping) -> None:
        """A mapping begins: keep a view for the device."""
        for number in self._numbers(m):
            users, view = self._frames.get(number, (0, None))
            if view is None:
                view = bytearray(self.kernel.ram.bytes[number << 12 : (number + 1) << 12])
            self._frames[number] = users + 1, view

    def end(self, m: Mapping) -> None:
        """A mapping ends; the last one takes the view along."""
        for number in self._numbers(m):
            users, view = self._frames[number]
            if users == 1:
                del self._frames[number]
            else:
                self._frames[number] = users - 1, view

    def _numbers(self, m: Mapping) -> Iterator[int]:
        for _, phys, size in m.pieces:
            # A page holds whole lines, so those of the first and last line are those of the first and last byte.
            yield from range(phys >> 12, (phys + max(size, 1) - 1 >> 12) + 1)

    def clean(self, phys: int, n: int) -> None:
        """``dcache_clean_poc()``: write the lines back, so that the device sees what the processor wrote."""
        for view, at, where, size in self._parts(phys & -CACHELINE, (phys + n + CACHELINE - 1) & -CACHELINE):
            view[at : at + size] = self.kernel.ram.bytes[where : where + size]

    def invalidate(self, phys: int, n: int) -> None:
        """``dcache_inval_poc()``: drop the lines, so that the processor sees what the device wrote."""
        for view, at, where, size in self._parts(phys, phys + n):
            self.kernel.ram.bytes[where : where + size] = view[at : at + size]

    def neighbour_changed(self, phys: int, n: int) -> int | None:
        """Return the address of a byte beside ``[phys, phys + n)``, in its first or last line, that the processor wrote."""
        edges = ((phys & -CACHELINE, phys), (phys + n, (phys + n + CACHELINE - 1) & -CACHELINE))
        for start, end in edges:
            for view, at, where, size in self._parts(start, end):
                now = self.kernel.ram.bytes[where : where + size]
                if now != view[at : at + size]:
                    return next(where + i for i in range(size) if now[i] != view[at + i])
        return None

    def read(self, phys: int, n: int) -> bytes:
        """What a device finds there."""
        return b"".join(bytes(view[at : at + size]) for view, at, _, size in self._parts(phys, phys + n))

    def write(self, phys: int, data: bytes) -> None:
        """A device writes to memory, past the caches."""
        done = 0
        for view, at, _, size in self._parts(phys, phys + len(data)):
            view[at : at + size] = data[done : done + size]
            done += size

    def _parts(self, start: int, end: int) -> Iterator[tuple[bytearray, int, int, int]]:
        """Cut a range at page frames: the device's view, offset in it, physical address, length."""
        while start < end:
            size = min(_PAGE - start % _PAGE, end - start)
            yield self._frames[start >> 12][1], start % _PAGE, start, size
            start += size
