from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_page,
    dma_mapping_error,
    dma_unmap_page,
)
from kmock.linux.gfp import __free_page, alloc_page
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    page = alloc_page(GFP_KERNEL)
    handle = dma_map_page(dev, page, 0, 4096, DMA_FROM_DEVICE)
    if dma_mapping_error(dev, handle):
        return
    __free_page(page)  # here
    dma_unmap_page(dev, handle, 4096, DMA_FROM_DEVICE)
