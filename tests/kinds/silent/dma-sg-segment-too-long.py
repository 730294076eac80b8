from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_TO_DEVICE,
    dma_map_sg,
    dma_set_max_seg_size,
    dma_unmap_sg,
    scatterlist,
)
from kmock.linux.gfp import __GFP_ZERO, __get_free_pages, free_pages
from kmock.linux.scatterlist import sg_init_one
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    dma_set_max_seg_size(dev, 128 << 10)
    p = __get_free_pages(GFP_KERNEL | __GFP_ZERO, 5)
    sg = scatterlist()
    sg_init_one(sg, p, 128 << 10)
    if dma_map_sg(dev, sg, 1, DMA_TO_DEVICE):
        dma_unmap_sg(dev, sg, 1, DMA_TO_DEVICE)
    free_pages(p, 5)
