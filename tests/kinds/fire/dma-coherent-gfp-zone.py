from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    dma_alloc_coherent,
    dma_free_coherent,
    dma_set_mask_and_coherent,
)
from kmock.linux.gfp import GFP_DMA
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    if dma_set_mask_and_coherent(dev, DMA_BIT_MASK(24)):
        return
    ring, dma = dma_alloc_coherent(dev, 4096, GFP_KERNEL | GFP_DMA)  # here
    dma_free_coherent(dev, 4096, ring, dma)
