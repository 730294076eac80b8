from kmock.linux.dma_mapping import DMA_BIT_MASK
from kmock.linux.dmapool import dma_pool_create, dma_pool_destroy, dmam_pool_destroy


def program(k):
    dev = k.device("ehci", dma_mask=DMA_BIT_MASK(32))
    pool = dma_pool_create("qtd", dev, 64, 64, 0)
    dmam_pool_destroy(pool)  # here
    dma_pool_destroy(pool)
