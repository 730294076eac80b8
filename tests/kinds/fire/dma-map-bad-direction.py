from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_NONE, dma_map_single
from kmock.linux.slab import GFP_KERNEL, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = kzalloc(256, GFP_KERNEL)
    dma_map_single(dev, p, 256, DMA_NONE)  # here
