from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_sync_single_for_cpu,
    dma_sync_single_for_device,
    dma_unmap_single,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = kzalloc(256, GFP_KERNEL)
    handle = dma_map_single(dev, p, 256, DMA_FROM_DEVICE)
    if dma_mapping_error(dev, handle):
        return
    dma_sync_single_for_cpu(dev, handle, 256, DMA_FROM_DEVICE)
    dma_sync_single_for_device(dev, handle, 256, DMA_FROM_DEVICE)
    dma_unmap_single(dev, handle, 256, DMA_FROM_DEVICE)
    kfree(p)
