from kmock.linux.dma_mapping import DMA_BIT_MASK, DMA_TO_DEVICE, dma_map_single, dma_mapping_error


def program(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    command = k.stack_buffer(64)
    handle = dma_map_single(dev, command, 64, DMA_TO_DEVICE)  # here
    dma_mapping_error(dev, handle)
