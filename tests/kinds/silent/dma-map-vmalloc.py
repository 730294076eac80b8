from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_page,
    dma_mapping_error,
    dma_unmap_page,
)
from kmock.linux.vmalloc import vfree, vmalloc, vmalloc_to_page


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = vmalloc(4096)
    handle = dma_map_page(dev, vmalloc_to_page(p), 0, 4096, DMA_FROM_DEVICE)
    if not dma_mapping_error(dev, handle):
        dma_unmap_page(dev, handle, 4096, DMA_FROM_DEVICE)
    vfree(p)
