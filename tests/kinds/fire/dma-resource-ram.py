from kmock.linux.dma_mapping import (
    DMA_BIDIRECTIONAL,
    DMA_BIT_MASK,
    dma_map_resource,
    dma_mapping_error,
    dma_unmap_resource,
)
from kmock.linux.io import virt_to_phys
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = kzalloc(256, GFP_KERNEL)
    handle = dma_map_resource(dev, virt_to_phys(p), 256, DMA_BIDIRECTIONAL, 0)  # here
    if not dma_mapping_error(dev, handle):
        dma_unmap_resource(dev, handle, 256, DMA_BIDIRECTIONAL, 0)
    kfree(p)
