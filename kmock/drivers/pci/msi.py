"""Interrupts as messages (``drivers/pci/msi/``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from kmock.hw import pci as hw
from kmock.kernel.irq import NR_IRQS

if TYPE_CHECKING:
    from kmock.drivers.pci.device import pci_dev
    from kmock.machine import Kernel

PCI_IRQ_LEGACY: Final = 1
PCI_IRQ_MSI: Final = 2
PCI_IRQ_MSIX: Final = 4
PCI_IRQ_AFFINITY: Final = 8
PCI_IRQ_ALL_TYPES: Final = PCI_IRQ_LEGACY | PCI_IRQ_MSI | PCI_IRQ_MSIX
FIRST: Final = 64
"""The lowest interrupt that is given to a message."""
SIZEOF_MSI_DESC: Final = 128


class Msi:
    """The messages of the functions of one machine."""

    __slots__ = ("kernel", "taken")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.taken: set[int] = set()

    def alloc(self, pdev: pci_dev, least: int, most: int, flags: int) -> int:
        """``pci_alloc_irq_vectors()``: how many vectors there are now, or -errno."""
        found = -errno.ENOSPC
        if flags & PCI_IRQ_MSIX and (found := self.enable(pdev, least, most, msix=True)) > 0:
            return found
        if flags & PCI_IRQ_MSI and (found := self.enable(pdev, least, most, msix=False)) > 0:
            return found
        if flags & PCI_IRQ_LEGACY and least == 1 and pdev.irq:
            self.kernel.pci.enable.intx(pdev, on=True)
            return 1
        return found

    def enable(self, pdev: pci_dev, least: int, most: int, *, msix: bool) -> int:
        """``pci_enable_msi_range()``, ``pci_enable_msix_range()``: how many messages, or -errno."""
        if most < least:
            return -errno.ERANGE
        if pdev.msi_enabled if not msix else pdev.msix_enabled:
            line, by = (957, "__pci_enable_msix_range") if msix else (901, "__pci_enable_msi_range")
            self.kernel.warn("registration-twice", f"drivers/pci/msi/msi.c:{line}", by, key=pdev)
            return -errno.EINVAL
        if pdev.msi_enabled or pdev.msix_enabled:
            return -errno.EINVAL
        there = pdev.config.msix if msix else pdev.config.msi
        if not there:
            return -errno.EINVAL
        count = min(there, most)
        if count < least:
            return -errno.ENOSPC
        return self._setup(pdev, count, msix=msix)

    def _setup(self, pdev: pci_dev, count: int, *, msix: bool) -> int:
        """``msi_capability_init()``."""
        k = self.kernel
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_MSI_DESC):
            return -errno.ENOMEM
        if pdev.is_managed and (err := k.managed.add_action(pdev.dev, self.free, pdev)):
            return err
        free = [irq for irq in range(FIRST, NR_IRQS) if irq not in self.taken]
        if len(free) < count:
            return -errno.ENOSPC
        pdev.vectors = free[:count]
        self.taken.update(pdev.vectors)
        pdev.vectors_at = k.capture()
        pdev.msix_enabled, pdev.msi_enabled = msix, not msix
        k.pci.enable.intx(pdev, on=False)
        self._flag(pdev, on=True)
        if not msix:
            pdev.irq = pdev.vectors[0]
        return count

    def _flag(self, pdev: pci_dev, *, on: bool) -> None:
        id, bit = (
            (hw.PCI_CAP_ID_MSIX, hw.PCI_MSIX_FLAGS_ENABLE)
            if pdev.msix_enabled
            else (hw.PCI_CAP_ID_MSI, hw.PCI_MSI_FLAGS_ENABLE)
        )
        at = pdev.config.capability(id) + hw.PCI_MSI_FLAGS
        pdev.config.write(at, 2, pdev.config.get(at, 2) & ~bit | bit * on)

    def free(self, pdev: pci_dev) -> None:
        """``pci_free_irq_vectors()``: back to the line; the handlers must be gone."""
        if not (pdev.msi_enabled or pdev.msix_enabled):
            return
        for irq in pdev.vectors:
            self._in_use(irq)
        self._flag(pdev, on=False)
        self.taken.difference_update(pdev.vectors)
        pdev.vectors = []
        pdev.msi_enabled = pdev.msix_enabled = False
        pdev.irq = pdev.config.get(hw.PCI_INTERRUPT_LINE, 1)
        self.kernel.pci.enable.intx(pdev, on=True)

    def _in_use(self, irq: int) -> None:
        """A vector goes while its handler is there: its directory in ``/proc/irq`` is not empty."""
        for action in self.kernel.irqs.actions(irq):
            k = self.kernel
            text = f"remove_proc_entry: removing non-empty directory 'irq/{irq}', leaking at least '{action.name}'"
            stacks: dict[str, Any] = {"access": k.capture(), "requested": action.stack}
            k.warn("cleanup-order", "fs/proc/generic.c:740", "remove_proc_entry", text, stacks=stacks, key=action)

    def vector(self, pdev: pci_dev, n: int) -> int:
        """``pci_irq_vector()``: the interrupt of a vector, or -EINVAL."""
        if not pdev.vectors:
            return pdev.irq if not n else -errno.EINVAL
        return pdev.vectors[n] if n < len(pdev.vectors) else -errno.EINVAL
