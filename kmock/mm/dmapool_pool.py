"""``struct dma_pool``: what it is made with, and how that cuts its pages (``mm/dmapool.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, final

from kmock.current import current
from kmock.kernel.spinlock import spinlock_t

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.mm.dmapool_block import DmaPage
    from kmock.sanitizers.object import Allocation
    from kmock.stack import Stack

PAGE_SIZE: Final = 4096
NAME_MAX: Final = 31
_SMALLEST: Final = 4
"""Bytes that the link of a free block takes."""


class Shape(NamedTuple):
    """How a pool cuts its pages."""

    size: int
    """Bytes from one block to the next, at least."""
    allocation: int
    """Bytes of coherent memory that it takes at once."""
    boundary: int
    """What no block crosses."""

    def starts(self) -> list[int]:
        """Offsets of the blocks (``pool_initialise_page()``), and behind them the end.

        A block that would end exactly at the boundary is left out, as in 6.1.
        """
        out = [0]
        next_boundary = self.boundary
        while out[-1] < self.allocation:
            following = out[-1] + self.size
            if following + self.size >= next_boundary:
                following = next_boundary
                next_boundary += self.boundary
            out.append(following)
        return out


def shape(size: int, align: int, boundary: int) -> Shape | str:
    """Lay out a pool, or say what is wrong with the arguments."""
    align = align or 1
    if align & (align - 1):
        return f"alignment {align} is no power of two"
    if size <= 0:
        return "blocks of 0 bytes"
    size = max(size, _SMALLEST) + align - 1 & -align
    allocation = max(size, PAGE_SIZE)
    if boundary and boundary < size:
        return f"blocks of {size} bytes always cross a boundary of {boundary}"
    if boundary & (boundary - 1):
        return f"boundary {boundary} is no power of two"
    return Shape(size, allocation, boundary or allocation)


@final
class dma_pool:
    """Blocks of one size that a device can reach; ``dma_pool_create()`` makes it."""

    __slots__ = (
        "allocation", "boundary", "debugged", "dev", "lock", "made_at", "managed", "name", "pages", "requested", "size", "starts",
        "struct",
    )  # fmt: skip
    C_SIZE: ClassVar[int] = 104

    def __init__(self, name: str, dev: device, requested: int, form: Shape, struct: Allocation) -> None:
        self.name = name[:NAME_MAX]
        self.dev = dev
        self.requested = requested
        """Bytes of a block that the driver asked for."""
        self.size, self.allocation, self.boundary = form
        self.starts = form.starts()
        self.pages: list[DmaPage] = []
        """The youngest first."""
        self.lock = spinlock_t("&retval->lock")
        self.struct = struct
        """The memory that the structure itself stands in."""
        self.made_at: Stack = ()
        self.managed = False
        """Whether it goes with the driver."""
        self.debugged = False
        """Whether free blocks are poisoned: in a kernel with CONFIG_SLUB_DEBUG_ON."""

    @property
    def title(self) -> str:
        """How messages name the device: ``driver device``."""
        return current.get().dma.title(self.dev)

    @property
    def live(self) -> bool:
        """Whether it was not destroyed."""
        return self.struct.live

    @property
    def in_use(self) -> int:
        """Blocks that somebody has, by the kernel's unsigned count."""
        return sum(page.in_use for page in self.pages) & 0xFFFF_FFFF

    def page_at(self, dma: int) -> DmaPage | None:
        """``pool_find_page()``: the page that the bus address lies in."""
        return next((page for page in self.pages if page.dma <= dma < page.dma + self.allocation), None)

    def info(self) -> str:
        """Its line in the device's file ``pools``."""
        pages = len(self.pages)
        total = pages * (self.allocation // self.size)
        return f"{self.name:<16} {self.in_use:4} {total:4} {self.size:4} {pages:2}\n"

    def __repr__(self) -> str:
        return f"<dma_pool {self.name}>"
