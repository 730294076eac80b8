"""One DMA mapping, and what is known of it (``struct dma_debug_entry``, ``kernel/dma/debug.c``).

What a mapping is to the driver (``include/linux/dma-direction.h``, ``include/linux/dma-mapping.h``) is here too:
directions, attributes, and the handle that says that there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

DMA_BIDIRECTIONAL: Final = 0
DMA_TO_DEVICE: Final = 1
DMA_FROM_DEVICE: Final = 2
DMA_NONE: Final = 3
DIRECTIONS: Final = ("DMA_BIDIRECTIONAL", "DMA_TO_DEVICE", "DMA_FROM_DEVICE", "DMA_NONE")

DMA_ATTR_WEAK_ORDERING: Final = 1 << 1
DMA_ATTR_WRITE_COMBINE: Final = 1 << 2
DMA_ATTR_NO_KERNEL_MAPPING: Final = 1 << 4
DMA_ATTR_SKIP_CPU_SYNC: Final = 1 << 5
DMA_ATTR_FORCE_CONTIGUOUS: Final = 1 << 6
DMA_ATTR_ALLOC_SINGLE_PAGES: Final = 1 << 7
DMA_ATTR_NO_WARN: Final = 1 << 8
DMA_ATTR_PRIVILEGED: Final = 1 << 9

DMA_MAPPING_ERROR: Final = (1 << 64) - 1

SINGLE: Final = 0
SG: Final = 1
COHERENT: Final = 2
RESOURCE: Final = 3
TYPES: Final = ("single", "scather-gather", "coherent", "resource")
"""The misspelling is the kernel's."""

MAP_ERR_CHECK_NOT_APPLICABLE: Final = 0
MAP_ERR_NOT_CHECKED: Final = 1
MAP_ERR_CHECKED: Final = 2

UNDO: Final = ("dma_unmap_single", "dma_unmap_sg", "dma_free_coherent", "dma_unmap_resource")


class Piece(NamedTuple):
    """A run of physical memory, and its place in the mapping."""

    offset: int
    phys: int
    size: int


class Marks:
    """A set of bytes out of ``size``. That none, or all, are in it costs nothing."""

    __slots__ = ("_flags", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._flags: bytearray | None = None

    def add(self, start: int, end: int) -> None:
        """Put ``[start, end)`` in."""
        if self._flags is None:
            self._flags = bytearray(self.size)
        self._flags[start:end] = b"\x01" * (end - start)

    def discard(self, start: int, end: int) -> None:
        """Take ``[start, end)`` out."""
        if self._flags is None:
            return
        if start <= 0 and end >= self.size:
            self._flags = None
        else:
            self._flags[start:end] = bytes(end - start)

    def any(self, start: int, end: int) -> bool:
        """Whether one of ``[start, end)`` is in it."""
        return self._flags is not None and self._flags.find(1, start, end) >= 0

    def all(self, start: int, end: int) -> bool:
        """Whether all of ``[start, end)`` are in it."""
        return self._flags is not None and self._flags.find(0, start, end) < 0

    def first(self) -> int:
        """The first byte in it, -1 if none is."""
        return -1 if self._flags is None else self._flags.find(1)


class Mapping:
    """A mapping that lives, or has lived: one segment of a scatterlist, or one call's worth of anything else."""

    __slots__ = (
        "attrs",
        "bounce",
        "cached",
        "checked",
        "cpu",
        "dev",
        "direction",
        "dirty",
        "dirty_stack",
        "dma",
        "live",
        "nents",
        "news",
        "owner",
        "pieces",
        "seq",
        "size",
        "stack",
        "strayed",
        "synced",
        "total",
        "type",
        "unmapped",
        "watched",
    )

    def __init__(
        self, dev: Any, type: int, dma: int, size: int, direction: int, pieces: tuple[Piece, ...], attrs: int
    ) -> None:
        self.dev = dev
        self.type = type
        self.dma = dma
        """The device's address of it."""
        self.size = size
        self.direction = direction
        self.pieces = pieces
        self.attrs = attrs
        self.seq = 0
        """Ordinal among the allocations of its kernel."""
        self.live = True
        self.checked = MAP_ERR_CHECK_NOT_APPLICABLE if type in (SG, COHERENT) else MAP_ERR_NOT_CHECKED
        self.nents = 0
        """Entries that dma_map_sg() was given."""
        self.total = 0
        """Entries that it made of them."""
        self.stack: Stack = ()
        self.unmapped: Stack = ()
        self.owner: Allocation | None = None
        """The allocation that the buffer lies in, where it is known."""
        self.bounce = -1
        """Physical address of the bounce buffer that the device sees instead, -1 for none."""
        self.watched = False
        """Whether it is followed who owns its bytes."""
        self.cached = False
        """Whether caches that don't see the device stand between it and the processor."""
        self.cpu = Marks(size)
        """Bytes that are the processor's for the time being."""
        self.news = Marks(size)
        """Bytes that the device wrote and nobody synced since."""
        self.dirty = Marks(size)
        """Bytes that the processor wrote and nobody synced since."""
        self.dirty_stack: Stack = ()
        self.synced = False
        """Whether any of it was ever synced."""
        self.strayed = False
        """Whether the processor wrote while the device owned it, which a sync for the device makes good."""

    @property
    def phys(self) -> int:
        """Physical address of the first byte."""
        return self.pieces[0].phys

    @property
    def end(self) -> int:
        """The device's address behind the last byte."""
        return self.dma + self.size

    @property
    def streaming(self) -> bool:
        """Whether it hands memory over for a time, and not for good."""
        return self.type in (SINGLE, SG)

    @property
    def what(self) -> str:
        """A short description: ``a mapping of 256 bytes at 0x1000, DMA_TO_DEVICE as single``."""
        return f"a mapping of {self.size} bytes at {self.dma:#x}, {DIRECTIONS[self.direction]} as {TYPES[self.type]}"

    @property
    def undo(self) -> str:
        """The call that ends it."""
        return UNDO[self.type]

    def runs(self, start: int, n: int) -> list[tuple[int, int, int]]:
        """Return where the bytes ``[start, start + n)`` lie: physical address, length, and offset in the mapping."""
        out = []
        for offset, phys, size in self.pieces:
            first, last = max(start, offset), min(start + n, offset + size)
            if first < last:
                out.append((phys + first - offset, last - first, first))
        return out
