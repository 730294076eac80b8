"""``<linux/pci.h>``: functions on the PCI bus, and their drivers.

C's out-parameters come back: ``err, value = pci_read_config_word(pdev, PCI_COMMAND)``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from kmock.drivers.pci.bus import PCIBIOS_BAD_REGISTER_NUMBER
from kmock.drivers.pci.device import PCI_ANY_ID, PCI_ROM_RESOURCE, pci_dev, pci_device_id, pci_driver
from kmock.drivers.pci.msi import (
    PCI_IRQ_AFFINITY,
    PCI_IRQ_ALL_TYPES,
    PCI_IRQ_LEGACY,
    PCI_IRQ_MSI,
    PCI_IRQ_MSIX,
)
from kmock.drivers.pci.regions import ALL as _ALL
from kmock.drivers.pci.regions import length as _length
from kmock.hw.pci import (
    PCI_BASE_ADDRESS_0,
    PCI_CAP_ID_MSI,
    PCI_CAP_ID_MSIX,
    PCI_COMMAND,
    PCI_COMMAND_INTX_DISABLE,
    PCI_COMMAND_IO,
    PCI_COMMAND_MASTER,
    PCI_COMMAND_MEMORY,
    PCI_DEVICE_ID,
    PCI_INTERRUPT_LINE,
    PCI_INTERRUPT_PIN,
    PCI_REVISION_ID,
    PCI_STATUS,
    PCI_SUBSYSTEM_ID,
    PCI_SUBSYSTEM_VENDOR_ID,
    PCI_VENDOR_ID,
)
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.device.driver import make_module as _make_module
from kmock.mm import memtype as _memtype

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

PCI_STD_NUM_BARS: Final = 6


# -- drivers and devices ----------------------------------------------------------------------------


def PCI_DEVICE(vendor: int, device: int, **more: Any) -> pci_device_id:
    """An entry of a driver's table: any function with that vendor and device."""
    return pci_device_id(vendor, device, **more)


def PCI_DEVICE_SUB(vendor: int, device: int, subvendor: int, subdevice: int) -> pci_device_id:
    """The same with the card's ids."""
    return pci_device_id(vendor, device, subvendor, subdevice)


def PCI_DEVICE_CLASS(class_: int, mask: int) -> pci_device_id:
    """Any function of a class."""
    return pci_device_id(PCI_ANY_ID, PCI_ANY_ID, class_=class_, class_mask=mask)


def PCI_DEVFN(slot: int, func: int) -> int:
    """A function's number on its bus."""
    return (slot & 0x1F) << 3 | func & 7


def PCI_SLOT(devfn: int) -> int:
    """The slot of a function."""
    return devfn >> 3 & 0x1F


def PCI_FUNC(devfn: int) -> int:
    """The function of a slot."""
    return devfn & 7


@api(since="2.3", sleeps=Sleeps.ALWAYS, undo="pci_unregister_driver", fails=True)
def pci_register_driver(k: Kernel, drv: pci_driver) -> int:
    """Register a driver, and probe the functions that are there: 0 or -errno."""
    return k.pci.register_driver(drv)


@api(since="2.3", sleeps=Sleeps.ALWAYS)
def pci_unregister_driver(k: Kernel, drv: pci_driver) -> None:
    """Take the driver from its functions, and off the bus."""
    k.pci.unregister_driver(drv)


def module_pci_driver(drv: pci_driver) -> None:
    """Give the calling module an init that registers ``drv`` and an exit that unregisters it."""
    _make_module(sys._getframe(1).f_globals, drv, pci_register_driver, pci_unregister_driver)


def to_pci_dev(dev: device) -> pci_dev:
    """The function that ``dev`` is part of."""
    found: pci_dev = dev.outer
    return found


@api(since="2.4.23")
def pci_name(k: Kernel, pdev: pci_dev) -> str:
    """The function's name: ``0000:00:03.0``."""
    return pdev.name


@api(since="2.3")
def pci_set_drvdata(k: Kernel, pdev: pci_dev, data: Any) -> None:
    """Attach something of the driver's to the function; forgotten when the driver goes."""
    pdev.dev.driver_data = data


@api(since="2.3")
def pci_get_drvdata(k: Kernel, pdev: pci_dev) -> Any:
    """What the driver attached."""
    return pdev.dev.driver_data


@api(since="2.6.0", undo="pci_dev_put")
def pci_dev_get(k: Kernel, dev: pci_dev | None) -> pci_dev | None:
    """One more reference; None for None."""
    if dev is not None:
        k.devices.get(dev.dev)
    return dev


@api(since="2.6.0")
def pci_dev_put(k: Kernel, dev: pci_dev | None) -> None:
    """Give a reference back."""
    if dev is not None:
        k.devices.put(dev.dev)


@api(since="2.6.0", undo="pci_dev_put")
def pci_get_device(k: Kernel, vendor: int, device: int, from_: pci_dev | None) -> pci_dev | None:
    """The next function with these ids after ``from_``, whose reference is given back; None at the end."""
    there = k.pci.devices
    wanted = pci_device_id(vendor, device)
    rest = there[there.index(from_) + 1 :] if from_ in there else there if from_ is None else []
    found = next((pdev for pdev in rest if wanted.matches(pdev)), None)
    if found is not None:
        k.devices.get(found.dev)
    if from_ is not None:
        k.devices.put(from_.dev)
    return found


@api(since="2.6.39", sleeps=Sleeps.ALWAYS)
def pci_stop_and_remove_bus_device(k: Kernel, dev: pci_dev) -> None:
    """Unbind a function; then it is gone."""
    k.pci.unplug(dev)


# -- on and off -------------------------------------------------------------------------------------


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="pci_disable_device", fails=True)
def pci_enable_device(k: Kernel, dev: pci_dev) -> int:
    """Let the function's windows answer; calls nest: 0 or -errno."""
    return k.pci.enable.on(dev)


@api(since="2.6.26", sleeps=Sleeps.ALWAYS, undo="pci_disable_device", fails=True)
def pci_enable_device_mem(k: Kernel, dev: pci_dev) -> int:
    """:func:`pci_enable_device` for the memory windows."""
    return k.pci.enable.on(dev)


@api(since="2.4", sleeps=Sleeps.ALWAYS)
def pci_disable_device(k: Kernel, dev: pci_dev) -> None:
    """Undo one :func:`pci_enable_device`; with the last one the function may no longer be bus master."""
    k.pci.enable.off(dev)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, fails=True)
def pcim_enable_device(k: Kernel, pdev: pci_dev) -> int:
    """:func:`pci_enable_device` for as long as the driver is there; regions and vectors go with it too."""
    return k.pci.enable.on_managed(pdev)


@api(since="2.6.21")
def pcim_pin_device(k: Kernel, pdev: pci_dev) -> None:
    """Leave a managed function on when the driver goes."""
    if (managed := k.pci.enable.managed(pdev)) is not None:
        managed.pinned = True


@api(since="2.6.21")
def pci_is_enabled(k: Kernel, pdev: pci_dev) -> bool:
    """Whether it is on."""
    return pdev.enable_cnt > 0


@api(since="2.0", undo="pci_clear_master")
def pci_set_master(k: Kernel, dev: pci_dev) -> None:
    """Let the function read and write memory, and send messages."""
    k.pci.enable.master(dev, on=True)


@api(since="2.6.29")
def pci_clear_master(k: Kernel, dev: pci_dev) -> None:
    """Forbid that."""
    k.pci.enable.master(dev, on=False)


@api(since="2.6.10")
def pci_intx(k: Kernel, pdev: pci_dev, enable: int) -> None:
    """Let the function use its interrupt line, or not."""
    k.pci.enable.intx(pdev, on=bool(enable))


# -- windows ----------------------------------------------------------------------------------------


def pci_resource_start(dev: pci_dev, bar: int) -> int:
    """The bus address of a window."""
    return dev.resource[bar].start


def pci_resource_end(dev: pci_dev, bar: int) -> int:
    """Its last address."""
    return dev.resource[bar].end


def pci_resource_len(dev: pci_dev, bar: int) -> int:
    """Its size in bytes, 0 where there is none."""
    return _length(dev.resource[bar])


def pci_resource_flags(dev: pci_dev, bar: int) -> int:
    """Its IORESOURCE flags."""
    return dev.resource[bar].flags


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="pci_release_region", fails=True)
def pci_request_region(k: Kernel, pdev: pci_dev, bar: int, name: str) -> int:
    """Claim one window: 0 or -EBUSY."""
    return k.pci.regions.request(pdev, bar, name)


@api(since="2.4")
def pci_release_region(k: Kernel, pdev: pci_dev, bar: int) -> None:
    """Give it back."""
    k.pci.regions.release(pdev, bar)


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="pci_release_regions", fails=True)
def pci_request_regions(k: Kernel, pdev: pci_dev, name: str) -> int:
    """Claim all windows: 0 or -EBUSY."""
    return k.pci.regions.request_selected(pdev, _ALL, name)


@api(since="2.4")
def pci_release_regions(k: Kernel, pdev: pci_dev) -> None:
    """Give them back."""
    k.pci.regions.release_selected(pdev, _ALL)


@api(since="2.6.22", sleeps=Sleeps.ALWAYS, undo="pci_release_selected_regions", fails=True)
def pci_request_selected_regions(k: Kernel, pdev: pci_dev, bars: int, name: str) -> int:
    """Claim the windows in the mask ``bars``: 0 or -EBUSY."""
    return k.pci.regions.request_selected(pdev, bars, name)


@api(since="2.6.22")
def pci_release_selected_regions(k: Kernel, pdev: pci_dev, bars: int) -> None:
    """Give them back."""
    k.pci.regions.release_selected(pdev, bars)


@api(since="2.6.26")
def pci_select_bars(k: Kernel, pdev: pci_dev, flags: int) -> int:
    """The mask of the windows with any of these IORESOURCE flags."""
    return sum(1 << n for n, r in enumerate(pdev.resource) if r.flags & flags)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="pci_iounmap", fails=True, sleeper="ioremap-atomic")
def pci_iomap(k: Kernel, dev: pci_dev, bar: int, max: int) -> Ptr:
    """Map a window, of memory or of ports, for ``ioread32()`` and its kin; at most ``max`` bytes unless that is 0; or NULL."""
    return k.pci.regions.map(dev, bar, 0, max)


@api(since="4.1", sleeps=Sleeps.ALWAYS, undo="pci_iounmap", fails=True, sleeper="ioremap-atomic")
def pci_iomap_range(k: Kernel, dev: pci_dev, bar: int, offset: int, maxlen: int) -> Ptr:
    """Map a part of a window."""
    return k.pci.regions.map(dev, bar, offset, maxlen)


@api(since="4.2", sleeps=Sleeps.ALWAYS, undo="pci_iounmap", fails=True, sleeper="ioremap-atomic")
def pci_iomap_wc(k: Kernel, dev: pci_dev, bar: int, maxlen: int) -> Ptr:
    """:func:`pci_iomap` with write combining."""
    return k.pci.regions.map(dev, bar, 0, maxlen, _memtype.WC)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, sleeper="ioremap-atomic")
def pci_iounmap(k: Kernel, dev: pci_dev, addr: Any) -> None:
    """Take a mapping away; NULL is nothing to do."""
    k.pci.regions.unmap(addr or 0)


@api(since="2.6.28", sleeps=Sleeps.ALWAYS, undo="iounmap", fails=True, sleeper="ioremap-atomic")
def pci_ioremap_bar(k: Kernel, pdev: pci_dev, bar: int) -> Ptr:
    """Map the whole of a memory window."""
    return k.pci.regions.map(pdev, bar, 0, 0)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, fails=True)
def pcim_iomap(k: Kernel, pdev: pci_dev, bar: int, maxlen: int) -> Ptr:
    """:func:`pci_iomap` for as long as the driver is there; NULL also where the window is mapped already."""
    return k.pci.regions.map_managed(pdev, bar, maxlen)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS)
def pcim_iounmap(k: Kernel, pdev: pci_dev, addr: int) -> None:
    """Take a managed mapping away early."""
    k.pci.regions.unmap_managed(pdev, addr)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, fails=True)
def pcim_iomap_regions(k: Kernel, pdev: pci_dev, mask: int, name: str) -> int:
    """Claim and map the windows in ``mask`` for as long as the driver is there: 0 or -errno."""
    return k.pci.regions.map_regions(pdev, mask, name)


@api(since="2.6.21")
def pcim_iounmap_regions(k: Kernel, pdev: pci_dev, mask: int) -> None:
    """Undo that early."""
    k.pci.regions.unmap_regions(pdev, mask)


@api(since="2.6.21")
def pcim_iomap_table(k: Kernel, pdev: pci_dev) -> list[Ptr] | None:
    """The managed mappings, by window."""
    return k.pci.regions.table(pdev)


# -- interrupts -------------------------------------------------------------------------------------


@api(since="4.8", sleeps=Sleeps.ALWAYS, undo="pci_free_irq_vectors", fails=True)
def pci_alloc_irq_vectors(k: Kernel, dev: pci_dev, min_vecs: int, max_vecs: int, flags: int) -> int:
    """Have the function interrupt by messages, or by the line where ``flags`` allow it: how many vectors, or -errno."""
    return k.pci.msi.alloc(dev, min_vecs, max_vecs, flags)


@api(since="4.8", sleeps=Sleeps.ALWAYS)
def pci_free_irq_vectors(k: Kernel, dev: pci_dev) -> None:
    """Back to the line; the handlers are freed first."""
    k.pci.msi.free(dev)


@api(since="4.8")
def pci_irq_vector(k: Kernel, dev: pci_dev, nr: int) -> int:
    """The interrupt of vector ``nr``, for ``request_irq()``; -EINVAL if there is none."""
    return k.pci.msi.vector(dev, nr)


@api(since="2.6.8", sleeps=Sleeps.ALWAYS, undo="pci_disable_msi", fails=True)
def pci_enable_msi(k: Kernel, dev: pci_dev) -> int:
    """Have the function interrupt by one message, ``pdev.irq``: 0 or -errno."""
    return min(k.pci.msi.enable(dev, 1, 1, msix=False), 0)


@api(since="2.6.8", sleeps=Sleeps.ALWAYS)
def pci_disable_msi(k: Kernel, dev: pci_dev) -> None:
    """Back to the line."""
    if dev.msi_enabled:
        k.pci.msi.free(dev)


@api(since="3.13")
def pci_msi_vec_count(k: Kernel, dev: pci_dev) -> int:
    """How many messages the function can send, -EINVAL if none."""
    return dev.config.msi or -22


@api(since="3.14")
def pci_msix_vec_count(k: Kernel, dev: pci_dev) -> int:
    """The same for MSI-X."""
    return dev.config.msix or -22


# -- configuration space ----------------------------------------------------------------------------


@api(since="2.0")
def pci_read_config_byte(k: Kernel, dev: pci_dev, where: int) -> tuple[int, int]:
    """Load 8 bits: 0, or a positive PCIBIOS error; and the value."""
    return k.pci.read_config(dev, where, 1)


@api(since="2.0")
def pci_read_config_word(k: Kernel, dev: pci_dev, where: int) -> tuple[int, int]:
    """Load 16 bits."""
    return k.pci.read_config(dev, where, 2)


@api(since="2.0")
def pci_read_config_dword(k: Kernel, dev: pci_dev, where: int) -> tuple[int, int]:
    """Load 32 bits."""
    return k.pci.read_config(dev, where, 4)


@api(since="2.0")
def pci_write_config_byte(k: Kernel, dev: pci_dev, where: int, val: int) -> int:
    """Store 8 bits: 0, or a positive PCIBIOS error."""
    return k.pci.write_config(dev, where, 1, val)


@api(since="2.0")
def pci_write_config_word(k: Kernel, dev: pci_dev, where: int, val: int) -> int:
    """Store 16 bits."""
    return k.pci.write_config(dev, where, 2, val)


@api(since="2.0")
def pci_write_config_dword(k: Kernel, dev: pci_dev, where: int, val: int) -> int:
    """Store 32 bits."""
    return k.pci.write_config(dev, where, 4, val)


@api(since="2.3")
def pci_find_capability(k: Kernel, dev: pci_dev, cap: int) -> int:
    """Where in configuration space a capability is, 0 if the function doesn't have it."""
    return dev.config.capability(cap)


__getattr__ = header_getattr(__name__)
__all__ = [
    "PCIBIOS_BAD_REGISTER_NUMBER",
    "PCI_ANY_ID",
    "PCI_BASE_ADDRESS_0",
    "PCI_CAP_ID_MSI",
    "PCI_CAP_ID_MSIX",
    "PCI_COMMAND",
    "PCI_COMMAND_INTX_DISABLE",
    "PCI_COMMAND_IO",
    "PCI_COMMAND_MASTER",
    "PCI_COMMAND_MEMORY",
    "PCI_DEVFN",
    "PCI_DEVICE",
    "PCI_DEVICE_CLASS",
    "PCI_DEVICE_ID",
    "PCI_DEVICE_SUB",
    "PCI_FUNC",
    "PCI_INTERRUPT_LINE",
    "PCI_INTERRUPT_PIN",
    "PCI_IRQ_AFFINITY",
    "PCI_IRQ_ALL_TYPES",
    "PCI_IRQ_LEGACY",
    "PCI_IRQ_MSI",
    "PCI_IRQ_MSIX",
    "PCI_REVISION_ID",
    "PCI_ROM_RESOURCE",
    "PCI_SLOT",
    "PCI_STATUS",
    "PCI_STD_NUM_BARS",
    "PCI_SUBSYSTEM_ID",
    "PCI_SUBSYSTEM_VENDOR_ID",
    "PCI_VENDOR_ID",
    "module_pci_driver",
    "pci_alloc_irq_vectors",
    "pci_clear_master",
    "pci_dev",
    "pci_dev_get",
    "pci_dev_put",
    "pci_device_id",
    "pci_disable_device",
    "pci_disable_msi",
    "pci_driver",
    "pci_enable_device",
    "pci_enable_device_mem",
    "pci_enable_msi",
    "pci_find_capability",
    "pci_free_irq_vectors",
    "pci_get_device",
    "pci_get_drvdata",
    "pci_intx",
    "pci_iomap",
    "pci_iomap_range",
    "pci_iomap_wc",
    "pci_ioremap_bar",
    "pci_iounmap",
    "pci_irq_vector",
    "pci_is_enabled",
    "pci_msi_vec_count",
    "pci_msix_vec_count",
    "pci_name",
    "pci_read_config_byte",
    "pci_read_config_dword",
    "pci_read_config_word",
    "pci_register_driver",
    "pci_release_region",
    "pci_release_regions",
    "pci_release_selected_regions",
    "pci_request_region",
    "pci_request_regions",
    "pci_request_selected_regions",
    "pci_resource_end",
    "pci_resource_flags",
    "pci_resource_len",
    "pci_resource_start",
    "pci_select_bars",
    "pci_set_drvdata",
    "pci_set_master",
    "pci_stop_and_remove_bus_device",
    "pci_unregister_driver",
    "pci_write_config_byte",
    "pci_write_config_dword",
    "pci_write_config_word",
    "pcim_enable_device",
    "pcim_iomap",
    "pcim_iomap_regions",
    "pcim_iomap_table",
    "pcim_iounmap",
    "pcim_iounmap_regions",
    "pcim_pin_device",
    "to_pci_dev",
]
