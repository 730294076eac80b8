from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent
from kmock.linux.gfp import GFP_ATOMIC
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    lock = DEFINE_SPINLOCK("ring")
    spin_lock(lock)
    ring, dma = dma_alloc_coherent(dev, 4096, GFP_ATOMIC)
    spin_unlock(lock)
    dma_free_coherent(dev, 4096, ring, dma)
