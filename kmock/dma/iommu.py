"""Devices behind an IOMMU (``drivers/iommu/dma-iommu.c``): addresses of their own, and whole pages at that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.dma.direct import SIZE_MAX, bit_mask, min_not_zero, sizes
from kmock.hw.iommu import IOMMU_READ, IOMMU_WRITE
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.physaddr import get_order
from kmock.sanitizers.dma_entry import (
    DMA_ATTR_NO_WARN,
    DMA_BIDIRECTIONAL,
    DMA_FROM_DEVICE,
    DMA_MAPPING_ERROR,
    DMA_TO_DEVICE,
    Piece,
)

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.hw.iommu import Domain, Iommu
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.sanitizers.dma_entry import Mapping

# dma_info_to_prot()
PERMISSIONS: Final = {
    DMA_BIDIRECTIONAL: IOMMU_READ | IOMMU_WRITE,
    DMA_TO_DEVICE: IOMMU_READ,
    DMA_FROM_DEVICE: IOMMU_WRITE,
}

Segment = tuple[int, int, tuple[Piece, ...]]
"""Device's address, length, and the memory behind it."""


class IommuOps:
    """Mappings of devices behind the IOMMU."""

    merges = True

    def __init__(self, kernel: Kernel, hardware: Iommu) -> None:
        self.kernel = kernel
        self.hardware = hardware

    # -- streaming --------------------------------------------------------------------------------

    def map(self, dev: device, phys: int, size: int, direction: int, attrs: int, *, said: bool) -> tuple[int, int]:
        """``iommu_dma_map_page()``: an address for the device; there is no bounce buffer (-1)."""
        return self._map(dev, phys, size, PERMISSIONS[direction], dev.dma_mask or 0), -1

    def _map(self, dev: device, phys: int, size: int, permissions: int, mask: int) -> int:
        # __iommu_dma_map()
        offset = phys % PAGE_SIZE
        pages = -(-(offset + max(size, 1)) >> PAGE_SHIFT)
        domain = self.hardware.domain(dev)
        start = domain.reserve(pages, self._limit(dev, mask))
        if start < 0:
            return DMA_MAPPING_ERROR
        for i in range(pages):
            domain.map(start + i, (phys >> PAGE_SHIFT) + i, permissions)
        return start << PAGE_SHIFT | offset

    @staticmethod
    def _limit(dev: device, mask: int) -> int:
        # iommu_dma_alloc_iova(): what a 32-bit device could reach is tried first.
        return min(min_not_zero(mask, dev.bus_dma_limit), bit_mask(32)) >> PAGE_SHIFT

    def map_sg(self, dev: device, runs: list[tuple[int, int]], direction: int) -> list[Segment] | None:
        """``iommu_dma_map_sg()``: map runs of memory one behind the other; what touches becomes one segment."""
        domain = self.hardware.domain(dev)
        counts = [-(-(phys % PAGE_SIZE + size) >> PAGE_SHIFT) for phys, size in runs]
        start = domain.reserve(sum(counts), self._limit(dev, dev.dma_mask or 0)) if runs else -1
        if start < 0:
            return None
        longest, boundary = sizes(dev)
        segments: list[Segment] = []
        joins = False
        for (phys, size), count in zip(runs, counts, strict=True):
            for i in range(count):
                domain.map(start + i, (phys >> PAGE_SHIFT) + i, PERMISSIONS[direction])
            at = start << PAGE_SHIFT
            # __finalise_sg(): only at a page's start, not at a boundary, and not beyond what a segment may be.
            if joins and not phys % PAGE_SIZE and at & boundary and longest - segments[-1][1] >= size:
                dma, length, pieces = segments[-1]
                segments[-1] = dma, length + size, (*pieces, Piece(length, phys, size))
            else:
                segments.append((at + phys % PAGE_SIZE, size, (Piece(0, phys, size),)))
            joins = not (phys + size) % PAGE_SIZE
            start += count
        return segments

    def unmap(self, m: Mapping) -> None:
        """``__iommu_dma_unmap()``: the device can't reach it any more."""
        domain = self.hardware.domain(m.dev)
        first = m.dma >> PAGE_SHIFT
        pages = (m.end - 1 >> PAGE_SHIFT) - first + 1
        for page in range(first, first + pages):
            domain.unmap(page)
        domain.release(first, pages)

    def map_resource(self, dev: device, phys: int, size: int, direction: int) -> int:
        """``iommu_dma_map_resource()``."""
        return self._map(dev, phys, size, PERMISSIONS[direction], dev.dma_mask or 0)

    # -- coherent ---------------------------------------------------------------------------------

    def alloc(self, dev: device, size: int, gfp: int, attrs: int, call: str) -> tuple[Page, int] | None:
        """``iommu_dma_alloc_pages()``: pages anywhere, and an address for them that the device can reach."""
        if attrs & DMA_ATTR_NO_WARN:
            gfp |= GFP_NOWARN
        node = dev.numa_node if dev.numa_node >= 0 else None
        page = self.kernel.page_alloc.alloc_pages(gfp & ~GFP_ZERO, get_order(size), node, call)
        if page is None:
            return None
        dma = self._map(dev, page.phys, size, IOMMU_READ | IOMMU_WRITE, dev.coherent_dma_mask)
        if dma == DMA_MAPPING_ERROR:
            self.kernel.page_alloc.drop(page, get_order(size))
            return None
        return page, dma

    def page_of(self, dev: device, dma: int) -> Page | None:
        """``iommu_iova_to_phys()``: the page that a device's address stands for, None if for none."""
        domain: Domain = self.hardware.domain(dev)
        found = domain.entries.get(dma >> PAGE_SHIFT)
        return self.kernel.memmap.page(found[0]) if found is not None else None

    # -- what a device can do ---------------------------------------------------------------------

    def required_mask(self) -> int:
        """``dma_get_required_mask()``: 32 bits do."""
        return bit_mask(32)

    def supported(self, mask: int) -> bool:
        """``dma_supported()``: the IOMMU reaches everything with any mask."""
        return True

    def max_mapping_size(self, dev: device) -> int:
        """``dma_max_mapping_size()``: no limit."""
        return SIZE_MAX
