"""A driver that takes a frame back the wrong way.

Wrong: ``beacon_probe`` maps what is to be sent ``DMA_TO_DEVICE``, ``beacon_remove`` unmaps it ``DMA_FROM_DEVICE``: caches are
invalidated for a device that wrote nothing, and what shared their lines is lost.
Right: the direction that the mapping was made with.
Expected: ``dma-unmap-direction``, at the ``dma_unmap_single`` in ``beacon_remove``.
"""

from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_set_mask_and_coherent,
    dma_unmap_single,
)
from kmock.linux.errno import ENOMEM
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.platform_device import module_platform_driver, platform_driver
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

SIZE = 64

MODULE_LICENSE("GPL")

frame = None
handle = 0


def beacon_probe(pdev):
    global frame, handle
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
    if err:
        return err
    frame = kzalloc(SIZE, GFP_KERNEL)
    if not frame:
        return -ENOMEM
    handle = dma_map_single(pdev.dev, frame, SIZE, DMA_TO_DEVICE)
    if dma_mapping_error(pdev.dev, handle):
        kfree(frame)
        return -ENOMEM
    return 0


def beacon_remove(pdev):
    dma_unmap_single(pdev.dev, handle, SIZE, DMA_FROM_DEVICE)
    kfree(frame)
    return 0


beacon_driver = platform_driver(probe=beacon_probe, remove=beacon_remove, driver={"name": "beacon"})
module_platform_driver(beacon_driver)
