from kmock.linux.dma_mapping import DMA_BIT_MASK
from kmock.linux.dmapool import dma_pool_create


def program(k):
    dev = k.device("ehci", dma_mask=DMA_BIT_MASK(32))
    assert not dma_pool_create("qtd", dev, 96, 24, 4096)  # here
