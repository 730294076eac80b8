from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_TO_DEVICE, dma_map_sg, scatterlist
from kmock.linux.scatterlist import sg_dma_address, sg_init_one
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(24))
    p = kzalloc(256, GFP_KERNEL)
    sg = scatterlist()
    sg_init_one(sg, p, 256)
    with k.expect("dma-map-beyond-mask"):
        dma_map_sg(dev, sg, 1, DMA_TO_DEVICE)
    k.dma_read(dev, sg_dma_address(sg), 256)  # here
    kfree(p)
