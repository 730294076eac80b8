"""``<asm-generic/iomap.h>`` and the ports of ``<asm/io.h>``: registers behind I/O ports, and behind either.

``inb()`` and its kin take port numbers. ``ioread8()`` and its kin take cookies, of ``ioport_map()`` for ports or of
``ioremap()`` for memory. Values of more than a byte are little endian in the device, unless the name ends in ``be``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm.iomap import cookie as _cookie

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel


def _swap(value: int, width: int) -> int:
    return int.from_bytes((int(value) & (1 << 8 * width) - 1).to_bytes(width, "big"), "little")


# --- ports --------------------------------------------------------------------------------------------------------------


@api(since="2.6.9", undo="ioport_unmap", fails=True)
def ioport_map(k: Kernel, port: int, nr: int) -> Ptr:
    """Return a cookie for ``nr`` ports from ``port`` on, for :func:`ioread8` and its kin; NULL for what is no port."""
    return k.io_ports.map(port, nr)


@api(since="2.6.9")
def ioport_unmap(k: Kernel, addr: Any) -> None:
    """Give a cookie of :func:`ioport_map` back; there is nothing to undo."""


@api(since="1.0")
def inb(k: Kernel, port: int) -> int:
    """Load a byte from a port; all ones where nobody answers."""
    return k.io_ports.read(port, 1, "inb")


@api(since="1.0")
def outb(k: Kernel, value: int, port: int) -> None:
    """Store a byte to a port."""
    k.io_ports.write(value, port, 1, "outb")


@api(since="1.0")
def inb_p(k: Kernel, port: int) -> int:
    """Load a byte from a port, and give the device time; all ones where nobody answers."""
    return k.io_ports.read(port, 1, "inb_p")


@api(since="1.0")
def outb_p(k: Kernel, value: int, port: int) -> None:
    """Store a byte to a port, and give the device time."""
    k.io_ports.write(value, port, 1, "outb_p")


@api(since="1.0")
def insb(k: Kernel, port: int, addr: Any, count: int) -> None:
    """Load ``count`` times a byte from one port, to the memory at ``addr``."""
    k.io_ports.read_string(port, _cookie(addr), count, 1, "insb")


@api(since="1.0")
def outsb(k: Kernel, port: int, addr: Any, count: int) -> None:
    """Store ``count`` times a byte to one port, from the memory at ``addr``."""
    k.io_ports.write_string(port, _cookie(addr), count, 1, "outsb")


@api(since="1.0")
def inw(k: Kernel, port: int) -> int:
    """Load 16 bits from a port; all ones where nobody answers."""
    return k.io_ports.read(port, 2, "inw")


@api(since="1.0")
def outw(k: Kernel, value: int, port: int) -> None:
    """Store 16 bits to a port."""
    k.io_ports.write(value, port, 2, "outw")


@api(since="1.0")
def inw_p(k: Kernel, port: int) -> int:
    """Load 16 bits from a port, and give the device time; all ones where nobody answers."""
    return k.io_ports.read(port, 2, "inw_p")


@api(since="1.0")
def outw_p(k: Kernel, value: int, port: int) -> None:
    """Store 16 bits to a port, and give the device time."""
    k.io_ports.write(value, port, 2, "outw_p")


@api(since="1.0")
def insw(k: Kernel, port: int, addr: Any, count: int) -> None:
    """Load ``count`` times 16 bits from one port, to the memory at ``addr``."""
    k.io_ports.read_string(port, _cookie(addr), count, 2, "insw")


@api(since="1.0")
def outsw(k: Kernel, port: int, addr: Any, count: int) -> None:
    """Store ``count`` times 16 bits to one port, from the memory at ``addr``."""
    k.io_ports.write_string(port, _cookie(addr), count, 2, "outsw")


@api(since="1.0")
def inl(k: Kernel, port: int) -> int:
    """Load 32 bits from a port; all ones where nobody answers."""
    return k.io_ports.read(port, 4, "inl")


@api(since="1.0")
def outl(k: Kernel, value: int, port: int) -> None:
    """Store 32 bits to a port."""
    k.io_ports.write(value, port, 4, "outl")


@api(since="1.0")
def inl_p(k: Kernel, port: int) -> int:
    """Load 32 bits from a port, and give the device time; all ones where nobody answers."""
    return k.io_ports.read(port, 4, "inl_p")


@api(since="1.0")
def outl_p(k: Kernel, value: int, port: int) -> None:
    """Store 32 bits to a port, and give the device time."""
    k.io_ports.write(value, port, 4, "outl_p")


@api(since="1.0")
def insl(k: Kernel, port: int, addr: Any, count: int) -> None:
    """Load ``count`` times 32 bits from one port, to the memory at ``addr``."""
    k.io_ports.read_string(port, _cookie(addr), count, 4, "insl")


@api(since="1.0")
def outsl(k: Kernel, port: int, addr: Any, count: int) -> None:
    """Store ``count`` times 32 bits to one port, from the memory at ``addr``."""
    k.io_ports.write_string(port, _cookie(addr), count, 4, "outsl")


# --- cookies ------------------------------------------------------------------------------------------------------------


@api(since="2.6.9")
def ioread8(k: Kernel, addr: Any) -> int:
    """Load 8 bits from a device, wherever ``pci_iomap()`` and the like found it."""
    return k.ioremap.io.cookie_read(_cookie(addr), 1, "ioread8")


@api(since="2.6.9")
def iowrite8(k: Kernel, value: int, addr: Any) -> None:
    """Store 8 bits to a device, wherever ``pci_iomap()`` and the like found it."""
    k.ioremap.io.cookie_write(value, _cookie(addr), 1, "iowrite8")


@api(since="2.6.9")
def ioread8_rep(k: Kernel, port: Any, buf: Any, count: int) -> None:
    """Load ``count`` times 8 bits from one place, to the memory at ``buf``."""
    k.ioremap.io.read_string(_cookie(port), _cookie(buf), count, 1, "ioread8_rep")


@api(since="2.6.9")
def iowrite8_rep(k: Kernel, port: Any, buf: Any, count: int) -> None:
    """Store ``count`` times 8 bits to one place, from the memory at ``buf``."""
    k.ioremap.io.write_string(_cookie(port), _cookie(buf), count, 1, "iowrite8_rep")


@api(since="2.6.9")
def ioread16(k: Kernel, addr: Any) -> int:
    """Load 16 bits from a device, wherever ``pci_iomap()`` and the like found it."""
    return k.ioremap.io.cookie_read(_cookie(addr), 2, "ioread16")


@api(since="2.6.9")
def iowrite16(k: Kernel, value: int, addr: Any) -> None:
    """Store 16 bits to a device, wherever ``pci_iomap()`` and the like found it."""
    k.ioremap.io.cookie_write(value, _cookie(addr), 2, "iowrite16")


@api(since="2.6.10")
def ioread16be(k: Kernel, addr: Any) -> int:
    """:func:`ioread16` of a device that is big endian."""
    return _swap(k.ioremap.io.cookie_read(_cookie(addr), 2, "ioread16be"), 2)


@api(since="2.6.10")
def iowrite16be(k: Kernel, value: int, addr: Any) -> None:
    """:func:`iowrite16` to a device that is big endian."""
    k.ioremap.io.cookie_write(_swap(value, 2), _cookie(addr), 2, "iowrite16be")


@api(since="2.6.9")
def ioread16_rep(k: Kernel, port: Any, buf: Any, count: int) -> None:
    """Load ``count`` times 16 bits from one place, to the memory at ``buf``."""
    k.ioremap.io.read_string(_cookie(port), _cookie(buf), count, 2, "ioread16_rep")


@api(since="2.6.9")
def iowrite16_rep(k: Kernel, port: Any, buf: Any, count: int) -> None:
    """Store ``count`` times 16 bits to one place, from the memory at ``buf``."""
    k.ioremap.io.write_string(_cookie(port), _cookie(buf), count, 2, "iowrite16_rep")


@api(since="2.6.9")
def ioread32(k: Kernel, addr: Any) -> int:
    """Load 32 bits from a device, wherever ``pci_iomap()`` and the like found it."""
    return k.ioremap.io.cookie_read(_cookie(addr), 4, "ioread32")


@api(since="2.6.9")
def iowrite32(k: Kernel, value: int, addr: Any) -> None:
    """Store 32 bits to a device, wherever ``pci_iomap()`` and the like found it."""
    k.ioremap.io.cookie_write(value, _cookie(addr), 4, "iowrite32")


@api(since="2.6.10")
def ioread32be(k: Kernel, addr: Any) -> int:
    """:func:`ioread32` of a device that is big endian."""
    return _swap(k.ioremap.io.cookie_read(_cookie(addr), 4, "ioread32be"), 4)


@api(since="2.6.10")
def iowrite32be(k: Kernel, value: int, addr: Any) -> None:
    """:func:`iowrite32` to a device that is big endian."""
    k.ioremap.io.cookie_write(_swap(value, 4), _cookie(addr), 4, "iowrite32be")


@api(since="2.6.9")
def ioread32_rep(k: Kernel, port: Any, buf: Any, count: int) -> None:
    """Load ``count`` times 32 bits from one place, to the memory at ``buf``."""
    k.ioremap.io.read_string(_cookie(port), _cookie(buf), count, 4, "ioread32_rep")


@api(since="2.6.9")
def iowrite32_rep(k: Kernel, port: Any, buf: Any, count: int) -> None:
    """Store ``count`` times 32 bits to one place, from the memory at ``buf``."""
    k.ioremap.io.write_string(_cookie(port), _cookie(buf), count, 4, "iowrite32_rep")


@api(since="4.10")
def ioread64(k: Kernel, addr: Any) -> int:
    """Load 64 bits from a device, wherever ``pci_iomap()`` and the like found it."""
    return k.ioremap.io.cookie_read(_cookie(addr), 8, "ioread64")


@api(since="4.10")
def iowrite64(k: Kernel, value: int, addr: Any) -> None:
    """Store 64 bits to a device, wherever ``pci_iomap()`` and the like found it."""
    k.ioremap.io.cookie_write(value, _cookie(addr), 8, "iowrite64")


@api(since="4.10")
def ioread64be(k: Kernel, addr: Any) -> int:
    """:func:`ioread64` of a device that is big endian."""
    return _swap(k.ioremap.io.cookie_read(_cookie(addr), 8, "ioread64be"), 8)


@api(since="4.10")
def iowrite64be(k: Kernel, value: int, addr: Any) -> None:
    """:func:`iowrite64` to a device that is big endian."""
    k.ioremap.io.cookie_write(_swap(value, 8), _cookie(addr), 8, "iowrite64be")


# --- registers that are queues ------------------------------------------------------------------------------------------


@api(since="3.10")
def readsb(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Load ``count`` times a byte from one register, to the memory at ``buffer``."""
    k.ioremap.io.read_string(_cookie(addr), _cookie(buffer), count, 1, "readsb")


@api(since="3.10")
def writesb(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Store ``count`` times a byte to one register, from the memory at ``buffer``."""
    k.ioremap.io.write_string(_cookie(addr), _cookie(buffer), count, 1, "writesb")


@api(since="3.10")
def readsw(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Load ``count`` times 16 bits from one register, to the memory at ``buffer``."""
    k.ioremap.io.read_string(_cookie(addr), _cookie(buffer), count, 2, "readsw")


@api(since="3.10")
def writesw(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Store ``count`` times 16 bits to one register, from the memory at ``buffer``."""
    k.ioremap.io.write_string(_cookie(addr), _cookie(buffer), count, 2, "writesw")


@api(since="3.10")
def readsl(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Load ``count`` times 32 bits from one register, to the memory at ``buffer``."""
    k.ioremap.io.read_string(_cookie(addr), _cookie(buffer), count, 4, "readsl")


@api(since="3.10")
def writesl(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Store ``count`` times 32 bits to one register, from the memory at ``buffer``."""
    k.ioremap.io.write_string(_cookie(addr), _cookie(buffer), count, 4, "writesl")


@api(since="3.10")
def readsq(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Load ``count`` times 64 bits from one register, to the memory at ``buffer``."""
    k.ioremap.io.read_string(_cookie(addr), _cookie(buffer), count, 8, "readsq")


@api(since="3.10")
def writesq(k: Kernel, addr: Any, buffer: Any, count: int) -> None:
    """Store ``count`` times 64 bits to one register, from the memory at ``buffer``."""
    k.ioremap.io.write_string(_cookie(addr), _cookie(buffer), count, 8, "writesq")


__getattr__ = header_getattr(__name__)
__all__ = [
    "inb",
    "inb_p",
    "inl",
    "inl_p",
    "insb",
    "insl",
    "insw",
    "inw",
    "inw_p",
    "ioport_map",
    "ioport_unmap",
    "ioread8",
    "ioread8_rep",
    "ioread16",
    "ioread16_rep",
    "ioread16be",
    "ioread32",
    "ioread32_rep",
    "ioread32be",
    "ioread64",
    "ioread64be",
    "iowrite8",
    "iowrite8_rep",
    "iowrite16",
    "iowrite16_rep",
    "iowrite16be",
    "iowrite32",
    "iowrite32_rep",
    "iowrite32be",
    "iowrite64",
    "iowrite64be",
    "outb",
    "outb_p",
    "outl",
    "outl_p",
    "outsb",
    "outsl",
    "outsw",
    "outw",
    "outw_p",
    "readsb",
    "readsl",
    "readsq",
    "readsw",
    "writesb",
    "writesl",
    "writesq",
    "writesw",
]
