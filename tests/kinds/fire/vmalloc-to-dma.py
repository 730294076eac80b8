from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_FROM_DEVICE, dma_map_sg, scatterlist
from kmock.linux.scatterlist import sg_init_one
from kmock.linux.vmalloc import vfree, vmalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = vmalloc(4096)
    sg = scatterlist()
    sg_init_one(sg, p, 4096)  # here
    dma_map_sg(dev, sg, 1, DMA_FROM_DEVICE)
    vfree(p)
