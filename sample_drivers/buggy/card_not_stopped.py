"""A driver that goes while its card still receives.

Wrong: ``gone_remove`` takes the buffer away from a card that was never told to stop: the next frame goes to memory that is
somebody else's.
Right: write 0 to the card's ``CTRL`` and wait until it is idle; then unmap and free.
Expected: ``dma-remove-while-active``, at the ``dma_unmap_single`` in ``gone_remove``.
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
from kmock.linux.io import writel, writeq
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.pci import (
    PCI_DEVICE,
    module_pci_driver,
    pci_disable_device,
    pci_driver,
    pci_enable_device,
    pci_get_drvdata,
    pci_iomap,
    pci_iounmap,
    pci_set_drvdata,
    pci_set_master,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

VENDOR, DEVICE = 0x1AF4, 0x10FE
SIZE = 256
ADDRESS, CTRL = 0x00, 0x08

MODULE_LICENSE("GPL")


def gone_map(pdev):
    """The buffer and its handle; a handle of 0 where there is none."""
    if dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32)):
        return None, 0
    buffer = kzalloc(SIZE, GFP_KERNEL)
    if not buffer:
        return None, 0
    handle = dma_map_single(pdev.dev, buffer, SIZE, DMA_FROM_DEVICE)
    if dma_mapping_error(pdev.dev, handle):
        kfree(buffer)
        return None, 0
    return buffer, handle


def gone_probe(pdev, id):
    err = pci_enable_device(pdev)
    if err:
        return err
    regs = pci_iomap(pdev, 0, 0)
    buffer, handle = gone_map(pdev) if regs else (None, 0)
    if not buffer:
        if regs:
            pci_iounmap(pdev, regs)
        pci_disable_device(pdev)
        return -ENOMEM
    pci_set_drvdata(pdev, (regs, buffer, handle))
    pci_set_master(pdev)
    writeq(handle, regs + ADDRESS)
    writel(1, regs + CTRL)
    return 0


def gone_remove(pdev):
    regs, buffer, handle = pci_get_drvdata(pdev)
    dma_unmap_single(pdev.dev, handle, SIZE, DMA_FROM_DEVICE)
    kfree(buffer)
    pci_iounmap(pdev, regs)


gone_driver = pci_driver(name="gone", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=gone_probe, remove=gone_remove)
module_pci_driver(gone_driver)
