from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_TO_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_unmap_single,
)


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    firmware = k.image.rodata(b"firmware" * 8, "firmware")
    handle = dma_map_single(dev, firmware, 64, DMA_TO_DEVICE)  # here
    if not dma_mapping_error(dev, handle):
        dma_unmap_single(dev, handle, 64, DMA_TO_DEVICE)
