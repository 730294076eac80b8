from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_sg,
    dma_sync_sg_for_cpu,
    dma_unmap_sg,
    scatterlist,
)
from kmock.linux.gfp import free_page, get_zeroed_page
from kmock.linux.scatterlist import sg_init_table, sg_set_buf
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    pages = [get_zeroed_page(GFP_KERNEL) for _ in range(3)]
    sg = [scatterlist() for _ in pages]
    sg_init_table(sg, 3)
    for one, page in zip(sg, pages, strict=True):
        sg_set_buf(one, page, 1024)
    if not dma_map_sg(dev, sg, 3, DMA_FROM_DEVICE):
        return
    dma_sync_sg_for_cpu(dev, sg, 3, DMA_FROM_DEVICE)
    dma_unmap_sg(dev, sg, 3, DMA_FROM_DEVICE)
    for page in pages:
        free_page(page)
