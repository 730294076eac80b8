"""PCI devices and drivers as structures (``include/linux/pci.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kmock.drivers.core import device, device_dma_parameters
from kmock.drivers.driver import device_driver
from kmock.hw import pci as hw
from kmock.hw.pci import BARS
from kmock.kernel.resource import Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kmock.hw.device import DeviceModel
    from kmock.hw.mmio import Window
    from kmock.hw.pci import ConfigSpace
    from kmock.stack import Stack

PCI_ANY_ID: Final = 0xFFFF_FFFF
PCI_ROM_RESOURCE: Final = 6
DMA_BIT_MASK_32: Final = 0xFFFF_FFFF
MAX_SEGMENT: Final = 65536


class pci_device_id:
    """``struct pci_device_id``; all zeros end a table."""

    def __init__(
        self,
        vendor: int = 0,
        device: int = 0,
        subvendor: int = PCI_ANY_ID,
        subdevice: int = PCI_ANY_ID,
        class_: int = 0,
        class_mask: int = 0,
        driver_data: Any = 0,
    ) -> None:
        self.vendor = vendor
        self.device = device
        self.subvendor = subvendor
        self.subdevice = subdevice
        self.class_ = class_
        self.class_mask = class_mask
        self.driver_data = driver_data

    def matches(self, pdev: pci_dev) -> bool:
        """``pci_match_one_device()``."""
        pairs = (
            (self.vendor, pdev.vendor),
            (self.device, pdev.device),
            (self.subvendor, pdev.subsystem_vendor),
            (self.subdevice, pdev.subsystem_device),
        )
        return all(mine in (PCI_ANY_ID, its) for mine, its in pairs) and not (
            (self.class_ ^ pdev.class_) & self.class_mask
        )

    @property
    def ends(self) -> bool:
        """Whether it is the end of a table."""
        return not (self.vendor or self.class_mask)


class pci_dev:
    """``struct pci_dev``: one function on the bus. C's ``class`` is :attr:`class_` here."""

    def __init__(self, config: ConfigSpace, slot: int, model: DeviceModel | None) -> None:
        self.config = config
        self.model = model
        self.devfn = slot << 3
        self.vendor = config.get(hw.PCI_VENDOR_ID, 2)
        self.device = config.get(hw.PCI_DEVICE_ID, 2)
        self.subsystem_vendor = config.get(hw.PCI_SUBSYSTEM_VENDOR_ID, 2)
        self.subsystem_device = config.get(hw.PCI_SUBSYSTEM_ID, 2)
        self.class_ = config.get(hw.PCI_REVISION_ID, 4) >> 8
        self.revision = config.get(hw.PCI_REVISION_ID, 1)
        self.pin = config.get(hw.PCI_INTERRUPT_PIN, 1)
        self.irq = config.get(hw.PCI_INTERRUPT_LINE, 1)
        self.resource = [Resource() for _ in range(BARS + 1)]
        self.windows: list[Window | None] = [None] * BARS
        """What answers behind each BAR."""
        self.driver: pci_driver | None = None
        self.enable_cnt = 0
        self.enabled_at: list[Stack] = []
        """Where it was enabled, as often as it is."""
        self.is_busmaster = False
        self.master_at: Stack = ()
        """Where it was allowed to be bus master."""
        self.is_managed = False
        self.msi_enabled = False
        self.msix_enabled = False
        self.vectors: list[int] = []
        """The interrupts that its messages raise."""
        self.vectors_at: Stack = ()
        """Where they were allocated."""
        self.dev = device(self)
        self.dev.dma_mask = self.dev.coherent_dma_mask = DMA_BIT_MASK_32
        self.dev.dma_parms = device_dma_parameters(MAX_SEGMENT, 0, DMA_BIT_MASK_32)

    @property
    def name(self) -> str:
        """``pci_name()``: ``0000:00:03.0``."""
        return f"0000:00:{self.devfn >> 3:02x}.{self.devfn & 7}"

    def __repr__(self) -> str:
        return f"<pci device {self.name} {self.vendor:04x}:{self.device:04x}>"


class pci_driver:
    """``struct pci_driver``; the members are given by keyword."""

    def __init__(
        self,
        *,
        name: str = "",
        id_table: Iterable[pci_device_id] = (),
        probe: Callable[[Any, Any], int] | None = None,
        remove: Callable[[Any], object] | None = None,
        shutdown: Callable[[Any], object] | None = None,
        driver: device_driver | dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.id_table = list(id_table)
        self.probe = probe
        self.remove = remove
        self.shutdown = shutdown
        self.driver = device_driver(**driver) if isinstance(driver, dict) else driver or device_driver()

    def __repr__(self) -> str:
        return f"<pci driver {self.name}>"
