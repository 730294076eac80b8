from kmock.linux.dma_mapping import DMA_BIT_MASK
from kmock.linux.dmapool import dma_pool_alloc, dma_pool_create, dma_pool_destroy, dma_pool_free
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("ehci", dma_mask=DMA_BIT_MASK(32))
    pool = dma_pool_create("qtd", dev, 64, 64, 0)
    qtd, dma = dma_pool_alloc(pool, GFP_KERNEL)
    dma_pool_free(pool, qtd, dma)
    qtd.le32[2] = 0x80  # here
    dma_pool_destroy(pool)
