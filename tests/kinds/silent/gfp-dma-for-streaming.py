from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_TO_DEVICE,
    dma_alloc_pages,
    dma_free_pages,
    dma_mapping_error,
    dma_set_mask_and_coherent,
)
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    if dma_set_mask_and_coherent(dev, DMA_BIT_MASK(24)):
        return
    page, handle = dma_alloc_pages(dev, 4096, DMA_TO_DEVICE, GFP_KERNEL)
    if not dma_mapping_error(dev, handle):
        dma_free_pages(dev, 4096, page, handle, DMA_TO_DEVICE)
