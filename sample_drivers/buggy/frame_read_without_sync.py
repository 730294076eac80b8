"""A driver that reads what its device received while the buffer is the device's.

Wrong: ``tap_interrupt`` copies the frame out of the mapped buffer. It works on every PC; where the caches don't see what
devices write, it copies what was in the buffer before.
Right: ``dma_sync_single_for_cpu()`` before the copy, ``dma_sync_single_for_device()`` behind it.
Expected: ``dma-sync-missing-cpu``, at the ``memcpy`` in ``tap_interrupt``.
"""

from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_set_mask_and_coherent,
    dma_unmap_single,
)
from kmock.linux.errno import ENOMEM
from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.platform_device import module_platform_driver, platform_driver
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.string import memcpy

IRQ = 9
SIZE = 256

MODULE_LICENSE("GPL")

buffer = None
frame = None
handle = 0


def tap_interrupt(irq, dev):
    memcpy(frame, buffer, SIZE)
    return IRQ_HANDLED


def tap_free():
    kfree(frame)
    kfree(buffer)


def tap_probe(pdev):
    global buffer, frame, handle
    err = dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
    if err:
        return err
    buffer, frame = kzalloc(SIZE, GFP_KERNEL), kzalloc(SIZE, GFP_KERNEL)
    if not buffer or not frame:
        tap_free()
        return -ENOMEM
    handle = dma_map_single(pdev.dev, buffer, SIZE, DMA_FROM_DEVICE)
    if dma_mapping_error(pdev.dev, handle):
        tap_free()
        return -ENOMEM
    err = request_irq(IRQ, tap_interrupt, 0, "tap", pdev)
    if err:
        dma_unmap_single(pdev.dev, handle, SIZE, DMA_FROM_DEVICE)
        tap_free()
    return err


def tap_remove(pdev):
    free_irq(IRQ, pdev)
    dma_unmap_single(pdev.dev, handle, SIZE, DMA_FROM_DEVICE)
    tap_free()
    return 0


tap_driver = platform_driver(probe=tap_probe, remove=tap_remove, driver={"name": "tap"})
module_platform_driver(tap_driver)
