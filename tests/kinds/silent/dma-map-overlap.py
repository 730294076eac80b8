from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_unmap_single,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = kzalloc(512, GFP_KERNEL)
    a = dma_map_single(dev, p, 64, DMA_FROM_DEVICE)
    b = dma_map_single(dev, p + 64, 64, DMA_FROM_DEVICE)
    if dma_mapping_error(dev, a) or dma_mapping_error(dev, b):
        return
    for one, size in ((a, 64), (b, 64)):
        dma_unmap_single(dev, one, size, DMA_FROM_DEVICE)
    kfree(p)
