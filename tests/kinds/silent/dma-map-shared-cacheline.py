from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_unmap_single,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

BOOT = {"dma_coherent": False}


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    state = kzalloc(16, GFP_KERNEL)
    p = kzalloc(128, GFP_KERNEL)
    handle = dma_map_single(dev, p, 128, DMA_FROM_DEVICE)
    if dma_mapping_error(dev, handle):
        return
    state[0] = 1
    k.dma_write(dev, handle, b"frame")
    dma_unmap_single(dev, handle, 128, DMA_FROM_DEVICE)
    kfree(p)
    kfree(state)
