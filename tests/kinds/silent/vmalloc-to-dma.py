from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_FROM_DEVICE, dma_map_sg, dma_unmap_sg, scatterlist
from kmock.linux.scatterlist import sg_init_table, sg_set_page
from kmock.linux.vmalloc import vfree, vmalloc, vmalloc_to_page


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    p = vmalloc(4096)
    sg = scatterlist()
    sg_init_table(sg, 1)
    sg_set_page(sg, vmalloc_to_page(p), 4096, 0)
    if dma_map_sg(dev, sg, 1, DMA_FROM_DEVICE):
        dma_unmap_sg(dev, sg, 1, DMA_FROM_DEVICE)
    vfree(p)
