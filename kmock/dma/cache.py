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


class Frame:
    """A page frame that mappings reach into."""

    __slots__ = ("clean", "memory", "users")

    def __init__(self, contents: memoryview) -> None:
        self.users = 0
        self.memory = bytearray(contents)
        """What memory holds, and devices see."""
        self.clean = bytearray(contents)
        """What the processor saw when its lines were last those of memory: a line that differs now is dirty."""


class Caches:
    """What memory holds where the caches may hold something else."""

    __slots__ = ("_frames", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._frames: dict[int, Frame] = {}

    def begin(self, m: Mapping) -> None:
        """A mapping begins: keep a view for the device."""
        for number in self._numbers(m):
            frame = self._frames.get(number)
            if frame is None:
                frame = self._frames[number] = Frame(self.kernel.ram.bytes[number << 12 : (number + 1) << 12])
            frame.users += 1

    def end(self, m: Mapping) -> None:
        """A mapping ends; the last one takes the view along."""
        for number in self._numbers(m):
            frame = self._frames[number]
            frame.users -= 1
            if not frame.users:
                del self._frames[number]

    def _numbers(self, m: Mapping) -> Iterator[int]:
        for _, phys, size in m.pieces:
            # A page holds whole lines, so those of the first and last line are those of the first and last byte.
            yield from range(phys >> 12, (phys + max(size, 1) - 1 >> 12) + 1)

    # -- the processor ----------------------------------------------------------------------------

    def clean(self, phys: int, n: int) -> None:
        """``dcache_clean_poc()``: write back what is dirty, so that the device sees what the processor wrote.

        Hardware writes whole lines. That matters to what shares a line, and on such machines kmalloc() sees to it that
        no two objects do; :meth:`spoil` is for parts of one object.
        """
        ram = self.kernel.ram.bytes
        for frame, at, where, size in self._parts(phys, phys + n):
            if ram[where : where + size] == frame.clean[at : at + size]:
                continue
            if frame.memory[at : at + size] == frame.clean[at : at + size]:
                # The device wrote nothing there, so that what is not dirty is the same everywhere.
                frame.memory[at : at + size] = frame.clean[at : at + size] = ram[where : where + size]
                continue
            for i in range(size):
                if ram[where + i] != frame.clean[at + i]:
                    frame.memory[at + i] = frame.clean[at + i] = ram[where + i]

    def spoil(self, phys: int) -> None:
        """The dirty line at ``phys`` is written back, over what the device wrote to another part of it."""
        where = phys & -CACHELINE
        frame = self._frames[where >> 12]
        at = where % _PAGE
        line = self.kernel.ram.bytes[where : where + CACHELINE]
        frame.memory[at : at + CACHELINE] = frame.clean[at : at + CACHELINE] = line

    def invalidate(self, phys: int, n: int) -> None:
        """``dcache_inval_poc()``: drop the lines, so that the processor sees what the device wrote."""
        ram = self.kernel.ram.bytes
        for frame, at, where, size in self._parts(phys, phys + n):
            ram[where : where + size] = frame.clean[at : at + size] = frame.memory[at : at + size]

    def neighbour_changed(self, phys: int, n: int) -> int | None:
        """Return the address of a byte beside ``[phys, phys + n)``, in its first or last line, that the processor wrote."""
        ram = self.kernel.ram.bytes
        edges = ((phys & -CACHELINE, phys), (phys + n, (phys + n + CACHELINE - 1) & -CACHELINE))
        for start, end in edges:
            for frame, at, where, size in self._parts(start, end):
                changed = (i for i in range(size) if ram[where + i] != frame.clean[at + i])
                if (first := next(changed, None)) is not None:
                    return where + first
        return None

    # -- devices ----------------------------------------------------------------------------------

    def read(self, phys: int, n: int) -> bytes:
        """What a device finds there."""
        return b"".join(bytes(frame.memory[at : at + size]) for frame, at, _, size in self._parts(phys, phys + n))

    def write(self, phys: int, data: bytes) -> None:
        """A device writes to memory, past the caches."""
        done = 0
        for frame, at, _, size in self._parts(phys, phys + len(data)):
            frame.memory[at : at + size] = data[done : done + size]
            done += size

    def _parts(self, start: int, end: int) -> Iterator[tuple[Frame, int, int, int]]:
        """Cut a range at page frames: the frame, offset in it, physical address, length."""
        while start < end:
            size = min(_PAGE - start % _PAGE, end - start)
            yield self._frames[start >> 12], start % _PAGE, start, size
            start += size
