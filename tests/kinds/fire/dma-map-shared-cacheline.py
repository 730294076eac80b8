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
    state = kzalloc(128, GFP_KERNEL)  # 16 bytes of state, then the buffer: one structure
    handle = dma_map_single(dev, state + 16, 112, DMA_FROM_DEVICE)
    if dma_mapping_error(dev, handle):
        return
    state[0] = 1
    k.dma_write(dev, handle, b"frame")
    dma_unmap_single(dev, handle, 112, DMA_FROM_DEVICE)  # here
    kfree(state)
