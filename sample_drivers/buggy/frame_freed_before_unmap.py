"""A driver that frees a frame which it has not taken back from the device yet.

Wrong: ``sender_done`` frees the frame and unmaps it after that. With caches to write back, or a bounce buffer to
copy, the unmapping touches memory that has its next owner already.
Right: ``dma_unmap_single()`` first, ``kfree()`` after it.
Expected: ``dma-free-while-mapped``, at the ``kfree`` in ``sender_done``.
"""

from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_TO_DEVICE,
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

IRQ = 9
SIZE = 64

MODULE_LICENSE("GPL")

frame = None
handle = 0


def sender_done(pdev):
    global frame
    if frame:
        kfree(frame)
        dma_unmap_single(pdev.dev, handle, SIZE, DMA_TO_DEVICE)
        frame = None


def sender_interrupt(irq, pdev):
    sender_done(pdev)
    return IRQ_HANDLED


def sender_probe(pdev):
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
    return request_irq(IRQ, sender_interrupt, 0, "sender", pdev)


def sender_remove(pdev):
    free_irq(IRQ, pdev)
    sender_done(pdev)
    return 0


sender_driver = platform_driver(probe=sender_probe, remove=sender_remove, driver={"name": "sender"})
module_platform_driver(sender_driver)
