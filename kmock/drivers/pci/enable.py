"""Turning a function on and off (``drivers/pci/pci.c``)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kmock.drivers.core import driver_string
from kmock.hw import pci as hw
from kmock.kernel.resource import IORESOURCE_IO

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.drivers.pci.device import pci_dev
    from kmock.machine import Kernel

SIZEOF_PCI_DEVRES = 40


@dataclass(eq=False, slots=True)
class PciDevres:
    """``struct pci_devres``: what a managed function undoes when its driver goes."""

    enabled: bool = False
    pinned: bool = False
    region_mask: int = 0
    orig_intx: bool | None = None


class Enable:
    """Functions of one machine, on and off."""

    __slots__ = ("kernel",)

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def on(self, pdev: pci_dev) -> int:
        """``pci_enable_device()``: let its windows answer; calls nest. 0."""
        pdev.enable_cnt += 1
        pdev.enabled_at.append(self.kernel.capture())
        if pdev.enable_cnt > 1:
            return 0
        command = pdev.config.command
        for n, bar in enumerate(pdev.config.bars):
            if bar is not None:
                io = pdev.resource[n].flags & IORESOURCE_IO
                command |= hw.PCI_COMMAND_IO if io else hw.PCI_COMMAND_MEMORY
        if pdev.pin and not pdev.vectors:
            command &= ~hw.PCI_COMMAND_INTX_DISABLE
        pdev.config.write(hw.PCI_COMMAND, 2, command)
        return 0

    def off(self, pdev: pci_dev) -> None:
        """``pci_disable_device()``: with the last call the function may no longer be bus master."""
        k = self.kernel
        if (managed := self.managed(pdev)) is not None:
            managed.enabled = False
        if pdev.enable_cnt <= 0:
            text = f"{driver_string(pdev.dev)} {pdev.name}: disabling already-disabled device"
            k.warn("double-cleanup-on-error", "drivers/pci/pci.c:2347", "pci_disable_device", text, key=pdev)
        pdev.enable_cnt -= 1
        if pdev.enabled_at:
            pdev.enabled_at.pop()
        if not pdev.enable_cnt:
            pdev.config.write(hw.PCI_COMMAND, 2, pdev.config.command & ~hw.PCI_COMMAND_MASTER)
            pdev.is_busmaster = False

    def master(self, pdev: pci_dev, *, on: bool) -> None:
        """``pci_set_master()``, ``pci_clear_master()``."""
        command = pdev.config.command & ~hw.PCI_COMMAND_MASTER
        pdev.config.write(hw.PCI_COMMAND, 2, command | hw.PCI_COMMAND_MASTER * on)
        pdev.is_busmaster = on
        if on:
            pdev.master_at = self.kernel.capture()

    def intx(self, pdev: pci_dev, *, on: bool) -> None:
        """``pci_intx()``: let it use its interrupt line, or not."""
        old = pdev.config.command
        new = old & ~hw.PCI_COMMAND_INTX_DISABLE | hw.PCI_COMMAND_INTX_DISABLE * (not on)
        if new != old:
            pdev.config.write(hw.PCI_COMMAND, 2, new)
            managed = self.managed(pdev)
            if managed is not None and managed.orig_intx is None:
                managed.orig_intx = not on

    # -- managed --------------------------------------------------------------------------------------

    def on_managed(self, pdev: pci_dev) -> int:
        """``pcim_enable_device()``: on until the driver goes, and its regions with it; 0 or -ENOMEM."""
        k = self.kernel
        managed = self._find(pdev)
        if managed is None:
            managed = PciDevres()
            if not k.managed.own(pdev.dev, self._pcim_release, managed, SIZEOF_PCI_DEVRES):
                return -errno.ENOMEM
        if not managed.enabled:
            self.on(pdev)
            pdev.is_managed = managed.enabled = True
        return 0

    def managed(self, pdev: pci_dev) -> PciDevres | None:
        """``find_pci_dr()``."""
        return self._find(pdev) if pdev.is_managed else None

    def _find(self, pdev: pci_dev) -> PciDevres | None:
        node = self.kernel.devres.find(pdev.dev, self._pcim_release)
        found: PciDevres | None = node.res if node is not None else None
        return found

    def _pcim_release(self, dev: device, res: Any) -> None:
        """``pcim_release()``."""
        pdev: pci_dev = dev.outer
        pdev.is_managed = False
        for n in range(len(pdev.resource)):
            if res.region_mask >> n & 1:
                self.kernel.pci.regions.release(pdev, n)
        if res.orig_intx is not None:
            self.intx(pdev, on=res.orig_intx)
        if res.enabled and not res.pinned:
            self.off(pdev)
