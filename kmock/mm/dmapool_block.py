"""Blocks of a DMA pool, and the pages that they lie in (``struct dma_page``, ``mm/dmapool.c``)."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, ClassVar, Final, final

from kmock.lang.ptr import Ptr, make_ptr
from kmock.sanitizers.object import SCAN_HELD, Allocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.mm.dmapool_pool import dma_pool
    from kmock.mm.page import PageBlock
    from kmock.stack import Stack

LINK: Final = 4
"""Bytes at a free block's start that hold the offset of the next one."""


@final
class DmaBlock(Allocation):
    """A block, from its allocation until its place is allocated again."""

    __slots__ = ("page",)
    area: ClassVar[str] = "dma-pool"
    untraced: ClassVar[bool] = True
    """kmemleak knows nothing of it."""
    page: DmaPage

    @property
    def what(self) -> str:
        """Say of which pool it is."""
        return f"block of DMA pool {self.page.pool.name}"

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        return "dma_pool_free"

    @property
    def offset(self) -> int:
        """Its place in the page."""
        return self.addr - int(self.page.vaddr)

    @property
    def late_headline(self) -> str:
        """What a kernel that poisons free blocks says of a stray write, once the block is allocated again."""
        pool = self.page.pool
        return (
            ""
            if self.live or not pool.debugged
            else f"{pool.title}: dma_pool_alloc {pool.name}, {self.addr:016x} (corrupted)"
        )


@final
class DmaPage:
    """Coherent memory cut into blocks: the owner of its pages while the pool has it."""

    __slots__ = ("block", "blocks", "dma", "in_use", "offset", "phys", "pool", "struct", "vaddr")

    def __init__(self, pool: dma_pool, struct: Allocation, vaddr: Ptr, dma: int, block: PageBlock) -> None:
        self.pool = pool
        self.struct = struct
        """The memory of ``struct dma_page`` itself."""
        self.vaddr = vaddr
        self.dma = dma
        self.block = block
        """The coherent memory, as the page allocator knows it."""
        self.phys = block.phys
        self.in_use = 0
        self.offset = 0
        """Of the first free block; beyond the end if there is none."""
        self.blocks: dict[int, DmaBlock] = {}
        """By offset, the living block of each place, or the last that lived there."""

    def probe(self, address: int) -> DmaBlock | None:
        """The block at ``address``, living or freed; None where none ever was."""
        offset = address - int(self.vaddr)
        if offset in self.blocks:
            return self.blocks[offset]
        at = bisect_right(self.pool.starts, offset) - 1
        return self.blocks.get(self.pool.starts[at]) if at >= 0 else None

    def live(self) -> Iterator[DmaBlock]:
        """Every living block."""
        return (block for block in self.blocks.values() if block.live)

    def word(self, k: Kernel, offset: int) -> int:
        """The ``unsigned int`` at ``offset``: the link of a free block."""
        at = self.phys + offset
        return int.from_bytes(k.ram.bytes[at : at + LINK], "little")

    def set_word(self, k: Kernel, offset: int, value: int) -> None:
        """Store the link of a free block."""
        at = self.phys + offset
        k.ram.bytes[at : at + LINK] = (value & 0xFFFF_FFFF).to_bytes(LINK, "little")

    def fill(self, k: Kernel, offset: int, n: int, value: int) -> None:
        """``memset()``, past all checks."""
        k.ram.bytes[self.phys + offset : self.phys + offset + n] = bytes([value]) * n

    def take(self, k: Kernel, offset: int, stack: Stack, *, written: bytes | None) -> Ptr:
        """Record that the block at ``offset`` is allocated now."""
        block = DmaBlock()
        block.page = self
        block.addr = int(self.vaddr) + offset
        block.size = self.pool.requested
        block.phys = self.phys + offset
        block.live = True
        block.written = written
        block.alloc_stack = stack
        block.free_stack = block.free_task = None
        block.task = k.current
        block.cpu = k.cpu
        block.time = k.clock.now
        k.seq = block.seq = k.seq + 1
        block.scan = SCAN_HELD
        self.blocks[offset] = block
        return make_ptr(block.addr, block)
