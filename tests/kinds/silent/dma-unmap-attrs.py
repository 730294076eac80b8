from kmock.linux.dma_mapping import DMA_ATTR_WRITE_COMBINE, DMA_BIT_MASK, dma_alloc_attrs, dma_free_attrs
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    ring, dma = dma_alloc_attrs(dev, 4096, GFP_KERNEL, DMA_ATTR_WRITE_COMBINE)
    dma_free_attrs(dev, 4096, ring, dma, DMA_ATTR_WRITE_COMBINE)
