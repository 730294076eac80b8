from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_TO_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_set_mask_and_coherent,
    dma_unmap_single,
)
from kmock.linux.gfp import GFP_DMA
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    if dma_set_mask_and_coherent(dev, DMA_BIT_MASK(24)):
        return
    p = kzalloc(256, GFP_KERNEL | GFP_DMA)
    handle = dma_map_single(dev, p, 256, DMA_TO_DEVICE)  # here
    if not dma_mapping_error(dev, handle):
        dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
    kfree(p)
