"""The PCI bus, as in Linux' ``drivers/pci/``."""
