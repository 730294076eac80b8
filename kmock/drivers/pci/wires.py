"""How a model on the PCI bus reaches memory and the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.hw import pci as hw

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.drivers.pci.device import pci_dev
    from kmock.machine import Kernel


class PciWires:
    """The connections of one function."""

    __slots__ = ("kernel", "pdev")

    def __init__(self, kernel: Kernel, pdev: pci_dev) -> None:
        self.kernel = kernel
        self.pdev = pdev

    @property
    def master(self) -> bool:
        """Whether it may begin transfers."""
        return bool(self.pdev.config.command & hw.PCI_COMMAND_MASTER)

    def read(self, addr: int, n: int) -> bytes:
        """Read memory; all ones come back while the function may not be bus master."""
        return self.kernel.dma_read(self.pdev.dev, addr, n) if self.master else b"\xff" * n

    def write(self, addr: int, data: bytes) -> None:
        """Write memory; that is lost while the function may not be bus master."""
        if self.master:
            self.kernel.dma_write(self.pdev.dev, addr, data)

    def interrupt(self, vector: int) -> None:
        """Send a message, which is a write to memory too, or pull the line."""
        pdev = self.pdev
        if pdev.vectors:
            if self.master:
                self.kernel.raise_irq(pdev.vectors[vector % len(pdev.vectors)])
        elif pdev.irq and not pdev.config.command & hw.PCI_COMMAND_INTX_DISABLE:
            self.kernel.raise_irq(pdev.irq)

    def after(self, nsecs: int, action: Callable[[], object]) -> None:
        """Let the device go on later; once it is unplugged it does no more."""
        k = self.kernel
        action = k.dma.barriers.carry(action)

        def due() -> None:
            if self.pdev.model is not None and self.pdev.model.wires is self:
                action()

        k.sched.timeouts.arm(k.clock.now + nsecs, due)
