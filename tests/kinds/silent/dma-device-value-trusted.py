from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, le32

SIZE = 64


class completion_entry(Struct):
    length: le32


def good(k):
    dev = k.device("card", dma_mask=DMA_BIT_MASK(32))
    memory, handle = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
    packet = kzalloc(SIZE, GFP_KERNEL)
    k.dma_write(dev, handle, (SIZE + 16).to_bytes(4, "little"))
    entry = completion_entry.at(memory)
    length = entry.length
    if 0 < length <= SIZE:
        packet[length - 1] = 0
    kfree(packet)
    dma_free_coherent(dev, 4096, memory, handle)
