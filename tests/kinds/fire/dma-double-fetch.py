from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, le32

SIZE = 64


class completion_entry(Struct):
    length: le32


def receive(entry, packet, meanwhile):
    if not 0 < entry.length <= SIZE:
        return
    meanwhile(SIZE + 16)
    packet[entry.length - 1] = 0  # here


def program(k):
    dev = k.device("card", dma_mask=DMA_BIT_MASK(32))
    memory, handle = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
    packet = kzalloc(SIZE, GFP_KERNEL)

    def write(length):
        k.dma_write(dev, handle, length.to_bytes(4, "little"))

    write(SIZE)
    receive(completion_entry.at(memory), packet, write)
    kfree(packet)
    dma_free_coherent(dev, 4096, memory, handle)
