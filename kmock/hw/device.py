"""Devices that do more than answer: they raise interrupts, read and write memory, and take their time.

A model of one is a :class:`DeviceModel`, its registers declared as in :mod:`kmock.hw.mmio`::

    class Adder(DeviceModel):
        A = Register(0x00)
        START = Register(0x04, access="wo")
        SUM = Register(0x08, access="ro")

        @START.written
        def start(self, value):
            self.after(1000, self.done)             # nanoseconds of virtual time

        def done(self):
            self.SUM = self.A + int.from_bytes(self.dma_read(0x1000, 4), "little")
            self.raise_irq()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kmock.hw.mmio import RegisterModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.hw.mmio import Model


class Wires(Protocol):
    """What a device is connected to."""

    def read(self, addr: int, n: int) -> bytes:
        """Read ``n`` bytes of memory at the device's address ``addr``."""

    def write(self, addr: int, data: bytes) -> None:
        """Write memory."""

    def interrupt(self, vector: int) -> None:
        """Interrupt the processor: by a message, or by the line."""

    def after(self, nsecs: int, action: Callable[[], object]) -> None:
        """Have ``action()`` called when ``nsecs`` of virtual time have passed."""


class Unplugged(RuntimeError):
    """A device acts that is connected to nothing."""


class DeviceModel(RegisterModel):
    """A device with registers; subclasses declare them, and say what happens when they are written.

    ``msi`` and ``msix`` say how many interrupt messages it can send, for a device on PCI.
    """

    msi = 1
    msix = 0
    wires: Wires | None = None

    def bar(self, n: int) -> Model | None:
        """What stands behind window ``n``; the registers stand behind all that a subclass does not speak of."""
        return self

    def dma_read(self, addr: int, n: int) -> bytes:
        """Read ``n`` bytes at ``addr``, an address that the driver gave; all ones where nothing answers."""
        return self._wires.read(addr, n)

    def dma_write(self, addr: int, data: bytes) -> None:
        """Write ``data`` at ``addr``; lost where nothing answers."""
        self._wires.write(addr, data)

    def raise_irq(self, vector: int = 0) -> None:
        """Interrupt; ``vector`` counts the device's messages. By the line all are the same."""
        self._wires.interrupt(vector)

    def after(self, nsecs: int, action: Callable[[], object]) -> None:
        """Do ``action()`` when ``nsecs`` of virtual time have passed, unless the device is unplugged by then."""
        self._wires.after(nsecs, action)

    @property
    def _wires(self) -> Wires:
        if self.wires is None:
            raise Unplugged(f"{type(self).__name__} is plugged in nowhere: give it to kernel.pci_device()")
        return self.wires
