from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_TO_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_unmap_single,
)
from kmock.linux.slab import GFP_KERNEL, kfree
from kmock.linux.string import kmemdup


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    firmware = k.image.rodata(b"firmware" * 8, "firmware")
    p = kmemdup(firmware, 64, GFP_KERNEL)
    handle = dma_map_single(dev, p, 64, DMA_TO_DEVICE)
    if not dma_mapping_error(dev, handle):
        dma_unmap_single(dev, handle, 64, DMA_TO_DEVICE)
    kfree(p)
