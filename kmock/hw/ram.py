"""Physical memory: one anonymous mapping, so that bytes are real bytes.

The host's kernel hands out its pages when they are first touched, so a machine of 64 GiB costs no more
than one of 64 MiB. Physical address and offset in the mapping are the same number; holes in the machine's
memory map are holes here that nothing touches.
"""

from __future__ import annotations

import mmap
from typing import Final

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PAGE_MASK: Final = ~(PAGE_SIZE - 1)


class Ram:
    """The machine's memory, ``size`` bytes from physical address 0, and the ranges of it that exist."""

    __slots__ = ("_map", "bytes", "ranges", "size")

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self.ranges = ranges
        self.size = max(end for _, end in ranges)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
        self._map = mmap.mmap(-1, self.size, flags=flags)
        self.bytes = memoryview(self._map)

    def exists(self, phys: int) -> bool:
        """Whether there is memory at that physical address."""
        for start, end in self.ranges:  # noqa: SIM110 -- any() costs a generator, and DMA asks this of every buffer
            if start <= phys < end:
                return True
        return False

    def close(self) -> None:
        """Give the memory back to the host."""
        self.bytes.release()
        self._map.close()
