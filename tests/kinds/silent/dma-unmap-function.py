from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_TO_DEVICE, dma_map_sg, dma_unmap_sg, scatterlist
from kmock.linux.scatterlist import sg_init_one
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = kzalloc(256, GFP_KERNEL)
    sg = scatterlist()
    sg_init_one(sg, p, 256)
    if not dma_map_sg(dev, sg, 1, DMA_TO_DEVICE):
        return
    dma_unmap_sg(dev, sg, 1, DMA_TO_DEVICE)
    kfree(p)
