from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_TO_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_unmap_single,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = kzalloc(256, GFP_KERNEL)
    handle = dma_map_single(dev, p, 256, DMA_TO_DEVICE)
    if dma_mapping_error(dev, handle):
        return
    dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
    kfree(p)
