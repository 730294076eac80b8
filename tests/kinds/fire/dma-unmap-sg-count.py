from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_TO_DEVICE, dma_map_sg, dma_unmap_sg, scatterlist
from kmock.linux.gfp import free_page, get_zeroed_page
from kmock.linux.scatterlist import sg_init_table, sg_set_buf
from kmock.linux.slab import GFP_KERNEL

BOOT = {"iommu": True}


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    pages = [get_zeroed_page(GFP_KERNEL) for _ in range(3)]
    sg = [scatterlist() for _ in pages]
    sg_init_table(sg, 3)
    for one, page in zip(sg, pages, strict=True):
        sg_set_buf(one, page, 4096)
    count = dma_map_sg(dev, sg, 3, DMA_TO_DEVICE)
    dma_unmap_sg(dev, sg, count, DMA_TO_DEVICE)  # here
    for page in pages:
        free_page(page)
