from kmock.linux.pci import PCI_DEVICE, pci_driver, pci_enable_device, pci_register_driver, pci_set_master


def probe(pdev, id):
    err = pci_enable_device(pdev)
    if not err:
        pci_set_master(pdev)  # here
    return err


def remove(pdev):
    pass


def program(k):
    k.pci_device(0x1234, 0x5678, bars=[4096])
    pci_register_driver(pci_driver(name="dev", id_table=[PCI_DEVICE(0x1234, 0x5678)], probe=probe, remove=remove))
