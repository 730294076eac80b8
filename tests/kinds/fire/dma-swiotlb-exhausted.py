from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_TO_DEVICE, dma_map_single
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

BOOT = {"cmdline": "swiotlb=force"}


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = kzalloc(512 << 10, GFP_KERNEL)
    handle = dma_map_single(dev, p, 512 << 10, DMA_TO_DEVICE)
    k.dma_read(dev, handle, 512 << 10)  # here
    kfree(p)
