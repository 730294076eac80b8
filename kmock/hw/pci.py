"""A PCI function's configuration space: 256 bytes, of which software may write some (PCI Local Bus 3.0, chapter 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PCI_VENDOR_ID: Final = 0x00
PCI_DEVICE_ID: Final = 0x02
PCI_COMMAND: Final = 0x04
PCI_COMMAND_IO: Final = 0x1
PCI_COMMAND_MEMORY: Final = 0x2
PCI_COMMAND_MASTER: Final = 0x4
PCI_COMMAND_INTX_DISABLE: Final = 0x400
PCI_STATUS: Final = 0x06
PCI_STATUS_CAP_LIST: Final = 0x10
PCI_REVISION_ID: Final = 0x08
PCI_CLASS_PROG: Final = 0x09
PCI_HEADER_TYPE: Final = 0x0E
PCI_BASE_ADDRESS_0: Final = 0x10
PCI_SUBSYSTEM_VENDOR_ID: Final = 0x2C
PCI_SUBSYSTEM_ID: Final = 0x2E
PCI_CAPABILITY_LIST: Final = 0x34
PCI_INTERRUPT_LINE: Final = 0x3C
PCI_INTERRUPT_PIN: Final = 0x3D

PCI_CAP_ID_MSI: Final = 0x05
PCI_CAP_ID_MSIX: Final = 0x11
PCI_MSI_FLAGS: Final = 2
PCI_MSI_FLAGS_ENABLE: Final = 0x1
PCI_MSIX_FLAGS_ENABLE: Final = 0x8000

SIZE: Final = 256
BARS: Final = 6
_FIRST_CAPABILITY: Final = 0x40
_MSI_LENGTH: Final = 0x18
_MSIX_LENGTH: Final = 0x0C


@dataclass(frozen=True, slots=True)
class Bar:
    """A window that a function wants: ``size`` bytes (a power of two), of ports if ``io``, else of memory.

    ``at`` is its address, where that is not for the machine to choose.
    """

    size: int
    io: bool = False
    prefetch: bool = False
    at: int | None = None

    def __post_init__(self) -> None:
        if self.size < (4 if self.io else 16) or self.size & self.size - 1:
            raise ValueError(f"a BAR's size is a power of two, at least {4 if self.io else 16}, not {self.size:#x}")

    @property
    def flags(self) -> int:
        """The low bits of its base address register."""
        return 1 if self.io else 8 * self.prefetch


class ConfigSpace:
    """The configuration space of one function; ``changed()`` is called after each write of the command register."""

    def __init__(self, vendor: int, device: int, bars: Sequence[Bar | None], msi: int = 0, msix: int = 0) -> None:
        self.data = bytearray(SIZE)
        self.writable = bytearray(SIZE)
        self.bars = bars
        self.msi = msi
        self.msix = msix
        self.changed: Callable[[], object] | None = None
        self.put(PCI_VENDOR_ID, 2, vendor)
        self.put(PCI_DEVICE_ID, 2, device)
        self._allow(PCI_COMMAND, 2, 0x547)
        self._allow(PCI_INTERRUPT_LINE, 1, 0xFF)
        for n, bar in enumerate(bars):
            if bar is not None:
                self.put(PCI_BASE_ADDRESS_0 + 4 * n, 4, bar.flags)
                self._allow(PCI_BASE_ADDRESS_0 + 4 * n, 4, -bar.size & 0xFFFF_FFFF)
        self._capabilities()

    def _allow(self, at: int, n: int, bits: int) -> None:
        self.writable[at : at + n] = bits.to_bytes(n, "little")

    def _capabilities(self) -> None:
        """Link the capabilities: each its id, the next one's place, and its flags."""
        last, at = PCI_CAPABILITY_LIST, _FIRST_CAPABILITY
        wanted = []
        if self.msi:
            # How many messages, as a power of two, in bits 1 to 3; 64-bit addresses.
            wanted.append((PCI_CAP_ID_MSI, _MSI_LENGTH, 0x80 | (self.msi.bit_length() - 1) << 1, 0x71))
        if self.msix:
            wanted.append((PCI_CAP_ID_MSIX, _MSIX_LENGTH, self.msix - 1, 0xC000))
        for id, length, flags, writable in wanted:
            self.put(last, 1, at)
            self.put(at, 1, id)
            self.put(at + PCI_MSI_FLAGS, 2, flags)
            self._allow(at + PCI_MSI_FLAGS, 2, writable)
            last, at = at + 1, at + length
        if wanted:
            self.put(PCI_STATUS, 2, self.get(PCI_STATUS, 2) | PCI_STATUS_CAP_LIST)

    def get(self, at: int, n: int) -> int:
        """Load a register."""
        return int.from_bytes(self.data[at : at + n], "little")

    def put(self, at: int, n: int, value: int) -> None:
        """Set a register as the device does."""
        self.data[at : at + n] = (value & (1 << 8 * n) - 1).to_bytes(n, "little")

    def write(self, at: int, n: int, value: int) -> None:
        """Store to a register as software does: what is not writable stays."""
        mask = int.from_bytes(self.writable[at : at + n], "little")
        self.put(at, n, self.get(at, n) & ~mask | value & mask)
        if at < PCI_STATUS and at + n > PCI_COMMAND and self.changed is not None:
            self.changed()

    def capability(self, id: int) -> int:
        """``pci_find_capability()``: where a capability is, 0 if it isn't."""
        at = self.get(PCI_CAPABILITY_LIST, 1)
        while at and self.get(at, 1) != id:
            at = self.get(at + 1, 1)
        return at

    @property
    def command(self) -> int:
        """The command register."""
        return self.get(PCI_COMMAND, 2)
