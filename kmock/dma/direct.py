"""Devices that use physical addresses (``kernel/dma/direct.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.mm.gfp import __GFP_DMA as GFP_DMA
from kmock.mm.gfp import __GFP_DMA32 as GFP_DMA32
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.layout import PAGE_SHIFT
from kmock.mm.physaddr import get_order
from kmock.sanitizers.dma_entry import DMA_ATTR_NO_WARN, DMA_MAPPING_ERROR

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.sanitizers.dma_entry import Mapping

ZONE_DMA_BITS: Final = 24
SIZE_MAX: Final = (1 << 64) - 1


def bit_mask(n: int) -> int:
    """``DMA_BIT_MASK(n)``."""
    return (1 << n) - 1


def min_not_zero(a: int, b: int) -> int:
    """The smaller of two limits, of which 0 is none."""
    return min(a, b) if a and b else a or b


class Direct:
    """Mappings of devices without an IOMMU."""

    merges = False

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    # -- streaming --------------------------------------------------------------------------------

    def map(self, dev: device, phys: int, size: int, direction: int, attrs: int, *, said: bool) -> tuple[int, int]:
        """``dma_direct_map_page()``: the device's address, and that of the bounce buffer, -1 for none.

        With ``said`` what is wrong with the buffer has been reported, and that it can't be mapped follows from it.
        """
        swiotlb = self.kernel.dma.swiotlb
        if swiotlb.force:
            return self._bounced(dev, phys, size, attrs)
        if not self.capable(dev, phys, size):
            if swiotlb.active:
                return self._bounced(dev, phys, size, attrs)
            self._overflow(dev, phys, size, said=said)
            return DMA_MAPPING_ERROR, -1
        return phys, -1

    def _bounced(self, dev: device, phys: int, size: int, attrs: int) -> tuple[int, int]:
        # swiotlb_map()
        k = self.kernel
        slot = k.dma.swiotlb.map(dev, phys, size, attrs)
        if slot >= 0 and not self.capable(dev, slot, size):
            k.dma.swiotlb.release(slot, size)
            text = f"{k.dma.title(dev)}: swiotlb addr {slot:#018x}+{size} overflow {self._limits(dev)}"
            k.warn("dma-map-beyond-mask", "kernel/dma/swiotlb.c:898", "swiotlb_map", text, key=dev)
            slot = -1
        return (slot, slot) if slot >= 0 else (DMA_MAPPING_ERROR, -1)

    def _overflow(self, dev: device, phys: int, size: int, *, said: bool) -> None:
        k = self.kernel
        text = f"{k.dma.title(dev)}: DMA addr {phys:#018x}+{size} overflow {self._limits(dev)}"
        if said:
            k.log.write(text)
        else:
            k.warn("dma-map-beyond-mask", "kernel/dma/direct.h:103", "dma_map_page_attrs", text)

    @staticmethod
    def _limits(dev: device) -> str:
        return f"(mask {dev.dma_mask:x}, bus limit {dev.bus_dma_limit:x})."

    @staticmethod
    def capable(dev: device, dma: int, size: int) -> bool:
        """``dma_capable()``: whether the device can reach the range."""
        return dma + size - 1 <= min_not_zero(dev.dma_mask or 0, dev.bus_dma_limit)

    def unmap(self, m: Mapping) -> None:
        """``dma_direct_unmap_page()``, what is left of it after the sync."""
        if m.bounce >= 0:
            self.kernel.dma.swiotlb.release(m.bounce, m.size)

    def map_resource(self, dev: device, phys: int, size: int, direction: int) -> int:
        """``dma_direct_map_resource()``: registers of another device."""
        if self.capable(dev, phys, size):
            return phys
        k = self.kernel
        text = f"{k.dma.title(dev)}: DMA addr {phys:#018x}+{size} overflow {self._limits(dev)}"
        k.warn("dma-map-beyond-mask", "kernel/dma/direct.c:498", "dma_direct_map_resource", text)
        return DMA_MAPPING_ERROR

    # -- coherent ---------------------------------------------------------------------------------

    def alloc(self, dev: device, size: int, gfp: int, attrs: int, call: str) -> tuple[Page, int] | None:
        """``__dma_direct_alloc_pages()``: pages that the device can reach, and their address for it."""
        if attrs & DMA_ATTR_NO_WARN:
            gfp |= GFP_NOWARN
        limit = min_not_zero(dev.coherent_dma_mask, dev.bus_dma_limit)
        gfp = gfp & ~GFP_ZERO | self._zone(limit)
        node = dev.numa_node if dev.numa_node >= 0 else None
        while True:
            page = self.kernel.page_alloc.alloc_pages(gfp, get_order(size), node, call)
            if page is None:
                return None
            if page.phys + size - 1 <= limit:
                return page, page.phys
            self.kernel.page_alloc.drop(page, get_order(size))
            if limit < bit_mask(64) and not gfp & (GFP_DMA32 | GFP_DMA):
                gfp |= GFP_DMA32
            elif not gfp & GFP_DMA:
                gfp = gfp & ~GFP_DMA32 | GFP_DMA
            else:
                return None

    @staticmethod
    def _zone(limit: int) -> int:
        # dma_direct_optimal_gfp_mask()
        if limit <= bit_mask(ZONE_DMA_BITS):
            return GFP_DMA
        return GFP_DMA32 if limit <= bit_mask(32) else 0

    def page_of(self, dev: device, dma: int) -> Page | None:
        """``dma_direct_to_page()``: the page that a device's address stands for."""
        return self.kernel.memmap.page(dma >> PAGE_SHIFT)

    def free(self, dev: device, dma: int, size: int) -> None:
        """What ``dma_direct_free()`` leaves to do once the pages are gone: nothing."""

    # -- what a device can do ---------------------------------------------------------------------

    def required_mask(self) -> int:
        """``dma_direct_get_required_mask()``: what reaches all of memory."""
        return bit_mask((self._max_pfn() - 1 << PAGE_SHIFT).bit_length())

    def supported(self, mask: int) -> bool:
        """``dma_direct_supported()``: whether some zone lies below the mask."""
        if mask >= bit_mask(32):
            return True
        return mask >= min(self._max_pfn() - 1 << PAGE_SHIFT, bit_mask(ZONE_DMA_BITS))

    def max_mapping_size(self, dev: device) -> int:
        """``dma_direct_max_mapping_size()``: as long as a bounce buffer may be, where there are any."""
        swiotlb = self.kernel.dma.swiotlb
        limited = min_not_zero(dev.dma_mask or 0, dev.bus_dma_limit) < self.required_mask()
        return swiotlb.MAX_MAPPING if swiotlb.active and (limited or swiotlb.force) else SIZE_MAX

    def _max_pfn(self) -> int:
        return self.kernel.ram.size >> PAGE_SHIFT


def sizes(dev: Any) -> tuple[int, int]:
    """``dma_get_max_seg_size()`` and ``dma_get_seg_boundary()``."""
    parms = dev.dma_parms
    longest = parms.max_segment_size if parms is not None and parms.max_segment_size else 1 << 16
    boundary = parms.segment_boundary_mask if parms is not None and parms.segment_boundary_mask else SIZE_MAX
    return longest, boundary
