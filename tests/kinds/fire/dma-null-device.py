from kmock.linux.dma_mapping import DMA_TO_DEVICE, dma_map_single
from kmock.linux.slab import GFP_KERNEL, kzalloc


def program(k):
    p = kzalloc(256, GFP_KERNEL)
    dma_map_single(None, p, 256, DMA_TO_DEVICE)  # here
