from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent
from kmock.linux.slab import GFP_KERNEL
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock_irq, spin_unlock_irq


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    ring, dma = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
    lock = DEFINE_SPINLOCK("ring")
    spin_lock_irq(lock)
    spin_unlock_irq(lock)
    dma_free_coherent(dev, 4096, ring, dma)
