from kmock.hw.device import DeviceModel
from kmock.hw.mmio import Register
from kmock.linux.dma_mapping import DMA_BIT_MASK, dma_alloc_coherent, dma_free_coherent, dma_set_mask_and_coherent
from kmock.linux.io import writel, writel_relaxed
from kmock.linux.pci import (
    PCI_DEVICE,
    pci_disable_device,
    pci_driver,
    pci_enable_device,
    pci_iomap,
    pci_iounmap,
    pci_register_driver,
    pci_set_master,
    pci_unregister_driver,
)
from kmock.linux.slab import GFP_KERNEL

VENDOR, DEVICE = 0x1234, 0x5678
BASE, DOORBELL = 0x00, 0x04


class Engine(DeviceModel):
    base = Register(BASE)
    doorbell = Register(DOORBELL, access="wo")

    @doorbell.written
    def ring(self, value):
        self.after(1000, self.fetch)

    def fetch(self):
        self.dma_read(self.base, 16)


def probe(pdev, id):
    pci_enable_device(pdev)
    pci_set_master(pdev)
    dma_set_mask_and_coherent(pdev.dev, DMA_BIT_MASK(32))
    regs = pci_iomap(pdev, 0, 0)
    descriptor, handle = dma_alloc_coherent(pdev.dev, 64, GFP_KERNEL)
    writel(handle, regs + BASE)
    for n in range(2):
        descriptor.u64[0] = n + 1
        writel_relaxed(1, regs + DOORBELL)  # here
        probe.kernel.advance(0.001)
    dma_free_coherent(pdev.dev, 64, descriptor, handle)
    pci_iounmap(pdev, regs)
    return 0


def remove(pdev):
    pci_disable_device(pdev)


def program(k):
    probe.kernel = k
    driver = pci_driver(name="engine", id_table=[PCI_DEVICE(VENDOR, DEVICE)], probe=probe, remove=remove)
    pci_register_driver(driver)
    k.pci_device(VENDOR, DEVICE, {0: 0x1000}, Engine())
    pci_unregister_driver(driver)
