"""A driver whose ``remove`` forgets the DMA pool.

Wrong: ``tape_remove`` gives back every descriptor and not the pool itself, whose coherent memory stays mapped for a device
that nobody drives.
Right: ``dma_pool_destroy`` in remove, or ``dmam_pool_create`` in probe, which needs none.
Expected: ``dma-pool-leak``, at the ``dma_pool_create`` in ``tape_probe``.
"""

from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_set_mask_and_coherent
from kmock.linux.dmapool import dma_pool_alloc, dma_pool_create, dma_pool_destroy, dma_pool_free
from kmock.linux.errno import ENOMEM
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.platform_device import (
    module_platform_driver,
    platform_driver,
    platform_get_drvdata,
    platform_set_drvdata,
)
from kmock.linux.slab import GFP_KERNEL

MODULE_LICENSE("GPL")


def tape_probe(pdev):
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
    if err:
        return err
    pool = dma_pool_create("tape", pdev.dev, 32, 32, 4096)
    if not pool:
        return -ENOMEM
    descriptor, handle = dma_pool_alloc(pool, GFP_KERNEL)
    if not descriptor:
        dma_pool_destroy(pool)
        return -ENOMEM
    platform_set_drvdata(pdev, (pool, descriptor, handle))
    return 0


def tape_remove(pdev):
    dma_pool_free(*platform_get_drvdata(pdev))
    return 0


tape_driver = platform_driver(probe=tape_probe, remove=tape_remove, driver={"name": "tape"})

module_platform_driver(tape_driver)
