"""A device that may still write to memory after its driver has gone.

Wrong: ``leftover_remove`` frees what the device was told to write to, and leaves the device bus master.
Right: ``pci_clear_master(pdev)`` or ``pci_disable_device(pdev)`` before the memory is freed.
Expected: ``stop-before-release``, at the ``pci_set_master`` that is never undone.
"""

from kmock.linux.dma_mapping import dma_alloc_coherent, dma_free_coherent
from kmock.linux.errno import ENOMEM
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.pci import (
    PCI_DEVICE,
    module_pci_driver,
    pci_disable_device,
    pci_driver,
    pci_enable_device,
    pci_get_drvdata,
    pci_set_drvdata,
    pci_set_master,
)
from kmock.linux.slab import GFP_KERNEL

VENDOR, DEVICE = 0x1AF4, 0x10FF
SIZE = 4096

MODULE_LICENSE("GPL")


def leftover_probe(pdev, id):
    err = pci_enable_device(pdev)
    if err:
        return err
    ring = dma_alloc_coherent(pdev.dev, SIZE, GFP_KERNEL)
    if not ring[0]:
        pci_disable_device(pdev)
        return -ENOMEM
    pci_set_drvdata(pdev, ring)
    pci_set_master(pdev)
    return 0


def leftover_remove(pdev):
    vaddr, dma = pci_get_drvdata(pdev)
    dma_free_coherent(pdev.dev, SIZE, vaddr, dma)


leftover_driver = pci_driver(
    name="leftover", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=leftover_probe, remove=leftover_remove
)
module_pci_driver(leftover_driver)
