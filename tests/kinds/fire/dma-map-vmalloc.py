from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_FROM_DEVICE, dma_map_single, dma_mapping_error
from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = vmalloc(4096)
    handle = dma_map_single(dev, p, 4096, DMA_FROM_DEVICE)  # here
    dma_mapping_error(dev, handle)
    vfree(p)
