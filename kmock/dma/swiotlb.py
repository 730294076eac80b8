"""Bounce buffers for what a device can't reach (``kernel/dma/swiotlb.c``).

The kernel sets 64 MiB aside at boot where memory lies above 4 GiB. Here the pages of a slot are taken when it is used;
how many slots there are, and how long one may be, is as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.mm.gfp import __GFP_DMA32 as GFP_DMA32
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import GFP_NOWAIT
from kmock.mm.physaddr import get_order
from kmock.sanitizers.dma_entry import DMA_ATTR_NO_WARN

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.sanitizers.dma_entry import Mapping
    from kmock.sanitizers.object import Allocation

IO_TLB_SHIFT: Final = 11
IO_TLB_SIZE: Final = 1 << IO_TLB_SHIFT
IO_TLB_SEGSIZE: Final = 128
IO_TLB_DEFAULT_SIZE: Final = 64 << 20
_4G: Final = 1 << 32


class Swiotlb:
    """The bounce buffers of one machine."""

    MAX_MAPPING: Final = IO_TLB_SIZE * IO_TLB_SEGSIZE
    """Bytes that one mapping can have (``swiotlb_max_mapping_size()``)."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        words = (kernel.config.boot_arg("swiotlb") or "").split(",")
        self.force = "force" in words
        slots = next((int(word) for word in words if word.isdigit()), 0)
        self.nslabs = max(slots, IO_TLB_SEGSIZE) if slots else IO_TLB_DEFAULT_SIZE >> IO_TLB_SHIFT
        self.active = "noforce" not in words and (bool(slots) or self.force or kernel.ram.size > _4G)
        self.used = 0

    def live(self) -> list[Allocation]:
        """No allocation of a driver's."""
        return []

    def probe(self, address: int) -> Allocation | None:
        """Nothing of a driver's lies in these pages."""
        return None

    def map(self, dev: Any, phys: int, size: int, attrs: int) -> int:
        """``swiotlb_tbl_map_single()``: the physical address of a buffer to use instead of ``phys``, -1 if there is none."""
        k = self.kernel
        slots = -(-size // IO_TLB_SIZE)
        page: Page | None = None
        if slots <= IO_TLB_SEGSIZE and self.used + slots <= self.nslabs:
            gfp = GFP_NOWAIT | GFP_NOWARN | GFP_DMA32
            page = k.page_alloc.alloc_pages(gfp, get_order(size + phys % IO_TLB_SIZE), call="swiotlb", owner=self)
        if page is None:
            if not attrs & DMA_ATTR_NO_WARN:
                k.log.write(
                    f"{k.dma.title(dev)}: swiotlb buffer is full (sz: {size} bytes), "
                    f"total {self.nslabs} (slots), used {self.used} (slots)"
                )
                k.dma.exhausted.add(dev)
            return -1
        self.used += slots
        return page.phys + phys % IO_TLB_SIZE

    def release(self, slot: int, size: int) -> None:
        """``swiotlb_release_slots()``: give back the buffer of ``size`` bytes at ``slot``."""
        self.used -= -(-size // IO_TLB_SIZE)
        self.kernel.page_alloc.drop(self.kernel.memmap.page(slot >> 12), get_order(size + slot % IO_TLB_SIZE))

    def bounce(self, m: Mapping, start: int, n: int, *, to_device: bool) -> None:
        """``swiotlb_bounce()``: copy bytes of the mapping between the driver's buffer and the device's."""
        memory = self.kernel.ram.bytes
        for phys, m_size, offset in m.runs(start, n):
            there = m.bounce + offset
            if to_device:
                memory[there : there + m_size] = memory[phys : phys + m_size]
            else:
                memory[phys : phys + m_size] = memory[there : there + m_size]
