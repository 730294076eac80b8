"""A driver that believes every mapping.

Wrong: ``burst_probe`` hands the handle to the device without asking whether it is one. On the day when the IOMMU has no
address left, the device writes to the one that ``DMA_MAPPING_ERROR`` happens to be.
Right: ``dma_mapping_error()`` of every handle, and a way back.
Expected: ``dma-map-error-unchecked``, at the ``dma_unmap_single`` in ``burst_remove``, where dma-debug notices.
"""

from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_single,
    dma_set_mask_and_coherent,
    dma_unmap_single,
)
from kmock.linux.errno import ENOMEM
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.platform_device import module_platform_driver, platform_driver
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

SIZE = 4096

MODULE_LICENSE("GPL")

buffer = None
handle = 0


def burst_probe(pdev):
    global buffer, handle
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
    if err:
        return err
    buffer = kzalloc(SIZE, GFP_KERNEL)
    if not buffer:
        return -ENOMEM
    handle = dma_map_single(pdev.dev, buffer, SIZE, DMA_FROM_DEVICE)
    return 0


def burst_remove(pdev):
    dma_unmap_single(pdev.dev, handle, SIZE, DMA_FROM_DEVICE)
    kfree(buffer)
    return 0


burst_driver = platform_driver(probe=burst_probe, remove=burst_remove, driver={"name": "burst"})
module_platform_driver(burst_driver)
