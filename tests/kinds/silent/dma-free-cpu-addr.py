from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    ring, dma = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
    other, dma2 = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
    dma_free_coherent(dev, 4096, ring, dma)
    dma_free_coherent(dev, 4096, other, dma2)
