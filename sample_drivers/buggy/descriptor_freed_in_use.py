"""A driver that frees a descriptor which the device still works on.

Wrong: ``ring_ioctl`` unlinks the descriptor and frees it at once. The device has read the link before: it will write the
status into memory that is the next descriptor's by then.
Right: after unlinking, wait until the device says that it is done with what it may have seen.
Expected: ``dma-pool-device-after-free``, at the ``dma_pool_free`` in ``ring_ioctl``.
"""

from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_set_mask_and_coherent
from kmock.linux.dmapool import dma_pool_create, dma_pool_destroy, dma_pool_free, dma_pool_zalloc
from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE
from kmock.linux.platform_device import module_platform_driver, platform_driver
from kmock.linux.slab import GFP_KERNEL

MODULE_LICENSE("GPL")

pool = None
descriptor = None
handle = 0


def ring_ioctl(filp, cmd, arg):
    global descriptor
    if descriptor:
        dma_pool_free(pool, descriptor, handle)
        descriptor = None
    return 0


ring = miscdevice(name="ring", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=ring_ioctl))


def ring_free():
    if descriptor:
        dma_pool_free(pool, descriptor, handle)
    dma_pool_destroy(pool)


def ring_probe(pdev):
    global pool, descriptor, handle
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
    if err:
        return err
    pool = dma_pool_create("ring", pdev.dev, 64, 64, 0)
    if not pool:
        return -ENOMEM
    descriptor, handle = dma_pool_zalloc(pool, GFP_KERNEL)
    if not descriptor:
        ring_free()
        return -ENOMEM
    err = misc_register(ring)
    if err:
        ring_free()
    return err


def ring_remove(pdev):
    misc_deregister(ring)
    ring_free()
    return 0


ring_driver = platform_driver(probe=ring_probe, remove=ring_remove, driver={"name": "ring"})

module_platform_driver(ring_driver)
