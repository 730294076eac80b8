from kmock.linux.dma_mapping import (
    DMA_BIDIRECTIONAL,
    DMA_BIT_MASK,
    dma_map_resource,
    dma_mapping_error,
    dma_unmap_resource,
)


def program(k):
    k.mmio(0xF000_0000, 0x1000)
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    handle = dma_map_resource(dev, 0xF000_0000, 256, DMA_BIDIRECTIONAL, 0)
    if not dma_mapping_error(dev, handle):
        k.dma_write(dev, handle, b"bell")
        dma_unmap_resource(dev, handle, 256, DMA_BIDIRECTIONAL, 0)
