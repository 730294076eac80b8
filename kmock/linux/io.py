"""``<linux/io.h>`` and ``<asm/io.h>``: mapping device memory, and loading and storing its registers.

The cookie of ``ioremap()`` is no pointer to dereference: ``readl()`` and its kin, ``memcpy_fromio()`` and the like
are the way. The relaxed forms differ in ordering only: what they may have overtaken is told when a device reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.ptr import Ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.linux.err import ERR_PTR as _ERR_PTR
from kmock.linux.iomap import *  # noqa: F403 -- the C header includes it
from kmock.linux.iomap import __all__ as _iomap
from kmock.linux.ioport import *  # noqa: F403 -- the C header includes it
from kmock.linux.ioport import __all__ as _ioport
from kmock.mm import memtype
from kmock.mm import physaddr as _physaddr
from kmock.mm.iomap import cookie as _cookie
from kmock.mm.ioremap import MEMREMAP_WB, MEMREMAP_WC, MEMREMAP_WT

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.kernel.resource import Resource as resource
    from kmock.machine import Kernel
    from kmock.mm.page import Page


# --- mapping ------------------------------------------------------------------------------------------------------------


@api(since="2.1", sleeps=Sleeps.ALWAYS, undo="iounmap", fails=True, sleeper="ioremap-atomic")
def ioremap(k: Kernel, phys_addr: int, size: int) -> Ptr:
    """Map ``size`` bytes of device memory at physical address ``phys_addr``, uncached; NULL where that can't be.

    RAM, a size of 0 and a range that wraps can't be mapped.
    """
    return k.ioremap.map(phys_addr, size, memtype.UC_MINUS, "ioremap")


@api(since="4.3", sleeps=Sleeps.ALWAYS, undo="iounmap", fails=True, sleeper="ioremap-atomic")
def ioremap_uc(k: Kernel, phys_addr: int, size: int) -> Ptr:
    """``ioremap()``, strictly uncached."""
    return k.ioremap.map(phys_addr, size, memtype.UC, "ioremap_uc")


@api(since="2.6.26", sleeps=Sleeps.ALWAYS, undo="iounmap", fails=True, sleeper="ioremap-atomic")
def ioremap_wc(k: Kernel, phys_addr: int, size: int) -> Ptr:
    """``ioremap()`` with write combining, as for a frame buffer."""
    return k.ioremap.map(phys_addr, size, memtype.WC, "ioremap_wc")


@api(since="4.2", sleeps=Sleeps.ALWAYS, undo="iounmap", fails=True, sleeper="ioremap-atomic")
def ioremap_wt(k: Kernel, phys_addr: int, size: int) -> Ptr:
    """``ioremap()`` with a write-through cache."""
    return k.ioremap.map(phys_addr, size, memtype.WT, "ioremap_wt")


@api(since="2.6.25", sleeps=Sleeps.ALWAYS, undo="iounmap", fails=True, sleeper="ioremap-atomic")
def ioremap_cache(k: Kernel, phys_addr: int, size: int) -> Ptr:
    """``ioremap()`` with a write-back cache, for what is memory rather than registers."""
    return k.ioremap.map(phys_addr, size, memtype.WB, "ioremap_cache")


@api(
    since="2.1",
    until="5.6",
    replaced_by="ioremap",
    sleeps=Sleeps.ALWAYS,
    undo="iounmap",
    fails=True,
    sleeper="ioremap-atomic",
)
def ioremap_nocache(k: Kernel, phys_addr: int, size: int) -> Ptr:
    """``ioremap()`` by its name from the time when that was cached."""
    return k.ioremap.map(phys_addr, size, memtype.UC_MINUS, "ioremap_nocache")


@api(since="2.1", sleeps=Sleeps.ALWAYS, sleeper="ioremap-atomic")
def iounmap(k: Kernel, addr: Any) -> None:
    """Take a mapping away; NULL is nothing to do."""
    k.ioremap.unmap(_cookie(addr))


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, undo="devm_iounmap", fails=True, sleeper="ioremap-atomic")
def devm_ioremap(k: Kernel, dev: device, offset: int, size: int) -> Ptr:
    """:func:`ioremap` for as long as the driver is there; NULL where that can't be."""
    return k.managed.ioremap(dev, offset, size, memtype.UC_MINUS, "devm_ioremap")


@api(since="5.5", sleeps=Sleeps.ALWAYS, undo="devm_iounmap", fails=True, sleeper="ioremap-atomic")
def devm_ioremap_uc(k: Kernel, dev: device, offset: int, size: int) -> Ptr:
    """:func:`devm_ioremap`, strictly uncached."""
    return k.managed.ioremap(dev, offset, size, memtype.UC, "devm_ioremap_uc")


@api(since="4.4", sleeps=Sleeps.ALWAYS, undo="devm_iounmap", fails=True, sleeper="ioremap-atomic")
def devm_ioremap_wc(k: Kernel, dev: device, offset: int, size: int) -> Ptr:
    """:func:`devm_ioremap` with write combining."""
    return k.managed.ioremap(dev, offset, size, memtype.WC, "devm_ioremap_wc")


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, sleeper="ioremap-atomic")
def devm_iounmap(k: Kernel, dev: device, addr: Any) -> None:
    """Take a managed mapping away early."""
    k.managed.iounmap(dev, _cookie(addr))


@api(since="3.9", sleeps=Sleeps.ALWAYS, fails=True, sleeper="ioremap-atomic")
def devm_ioremap_resource(k: Kernel, dev: device, res: resource | None) -> Ptr:
    """Claim and map a resource for as long as the driver is there; ERR_PTR of -EINVAL, -EBUSY or -ENOMEM."""
    found = k.managed.ioremap_resource(dev, res)
    return found if isinstance(found, Ptr) else _ERR_PTR(found)


@api(since="5.5", sleeps=Sleeps.ALWAYS, fails=True, sleeper="ioremap-atomic")
def devm_ioremap_resource_wc(k: Kernel, dev: device, res: resource | None) -> Ptr:
    """:func:`devm_ioremap_resource` with write combining."""
    found = k.managed.ioremap_resource(dev, res, memtype.WC)
    return found if isinstance(found, Ptr) else _ERR_PTR(found)


@api(since="4.3", sleeps=Sleeps.ALWAYS, undo="memunmap", fails=True, sleeper="ioremap-atomic")
def memremap(k: Kernel, offset: int, size: int, flags: int) -> Ptr:
    """Map what behaves like memory, for plain loads and stores; NULL where none of the types in ``flags`` can be had."""
    return k.ioremap.memremap(offset, size, flags)


@api(since="4.3", sleeps=Sleeps.ALWAYS, sleeper="ioremap-atomic")
def memunmap(k: Kernel, addr: Any) -> None:
    """Take a mapping of ``memremap()`` away."""
    k.ioremap.memunmap(_cookie(addr))


@api(since="5.7")
def is_ioremap_addr(k: Kernel, x: Any) -> bool:
    """Whether an address lies where ``ioremap()`` maps."""
    return k.layout.is_vmalloc(int(x or 0))


@api(since="1.0")
def virt_to_phys(k: Kernel, address: Any) -> int:
    """The physical address behind an address of the direct map."""
    return _physaddr.virt_to_phys(k, address)


@api(since="1.0")
def phys_to_virt(k: Kernel, address: int) -> Ptr:
    """The address in the direct map of a physical address."""
    return _physaddr.phys_to_virt(k, address)


@api(since="2.6.0")
def page_to_phys(k: Kernel, page: Page) -> int:
    """The physical address of a page."""
    return page.phys


# --- registers ----------------------------------------------------------------------------------------------------------


@api(since="1.0")
def readb(k: Kernel, addr: Any) -> int:
    """Load a byte from a device."""
    return k.ioremap.io.read(_cookie(addr), 1)


@api(since="1.0")
def readw(k: Kernel, addr: Any) -> int:
    """Load 16 bits from a device."""
    return k.ioremap.io.read(_cookie(addr), 2)


@api(since="1.0")
def readl(k: Kernel, addr: Any) -> int:
    """Load 32 bits from a device."""
    return k.ioremap.io.read(_cookie(addr), 4)


@api(since="2.6.0")
def readq(k: Kernel, addr: Any) -> int:
    """Load 64 bits from a device."""
    return k.ioremap.io.read(_cookie(addr), 8)


@api(since="2.6.0")
def readb_relaxed(k: Kernel, addr: Any) -> int:
    """``readb()`` without ordering against memory."""
    return k.ioremap.io.read(_cookie(addr), 1)


@api(since="2.6.0")
def readw_relaxed(k: Kernel, addr: Any) -> int:
    """``readw()`` without ordering against memory."""
    return k.ioremap.io.read(_cookie(addr), 2)


@api(since="2.6.0")
def readl_relaxed(k: Kernel, addr: Any) -> int:
    """``readl()`` without ordering against memory."""
    return k.ioremap.io.read(_cookie(addr), 4)


@api(since="2.6.0")
def readq_relaxed(k: Kernel, addr: Any) -> int:
    """``readq()`` without ordering against memory."""
    return k.ioremap.io.read(_cookie(addr), 8)


def _ordered(k: Kernel) -> None:
    """What was stored to memory before is visible to the device that is told now."""
    if "dma" in vars(k):
        k.dma.barriers.fence()


def _relaxed(k: Kernel, value: int, addr: int, width: int) -> None:
    """It need not be."""
    if "dma" in vars(k):
        k.dma.barriers.relaxed(lambda: k.ioremap.io.write(value, addr, width))
    else:
        k.ioremap.io.write(value, addr, width)


@api(since="1.0")
def writeb(k: Kernel, value: int, addr: Any) -> None:
    """Store a byte to a device."""
    _ordered(k)
    k.ioremap.io.write(value, _cookie(addr), 1)


@api(since="1.0")
def writew(k: Kernel, value: int, addr: Any) -> None:
    """Store 16 bits to a device."""
    _ordered(k)
    k.ioremap.io.write(value, _cookie(addr), 2)


@api(since="1.0")
def writel(k: Kernel, value: int, addr: Any) -> None:
    """Store 32 bits to a device."""
    _ordered(k)
    k.ioremap.io.write(value, _cookie(addr), 4)


@api(since="2.6.0")
def writeq(k: Kernel, value: int, addr: Any) -> None:
    """Store 64 bits to a device."""
    _ordered(k)
    k.ioremap.io.write(value, _cookie(addr), 8)


@api(since="3.17")
def writeb_relaxed(k: Kernel, value: int, addr: Any) -> None:
    """``writeb()`` without ordering against memory."""
    _relaxed(k, value, _cookie(addr), 1)


@api(since="3.17")
def writew_relaxed(k: Kernel, value: int, addr: Any) -> None:
    """``writew()`` without ordering against memory."""
    _relaxed(k, value, _cookie(addr), 2)


@api(since="3.17")
def writel_relaxed(k: Kernel, value: int, addr: Any) -> None:
    """``writel()`` without ordering against memory."""
    _relaxed(k, value, _cookie(addr), 4)


@api(since="3.17")
def writeq_relaxed(k: Kernel, value: int, addr: Any) -> None:
    """``writeq()`` without ordering against memory."""
    _relaxed(k, value, _cookie(addr), 8)


# --- blocks -------------------------------------------------------------------------------------------------------------


@api(since="1.0")
def memcpy_fromio(k: Kernel, to: Any, source: Any, count: int) -> None:
    """Copy ``count`` bytes from a device to memory."""
    k.ioremap.io.copy_from(_cookie(to), _cookie(source), count)


@api(since="1.0")
def memcpy_toio(k: Kernel, to: Any, source: Any, count: int) -> None:
    """Copy ``count`` bytes from memory to a device."""
    k.ioremap.io.copy_to(_cookie(to), _cookie(source), count)


@api(since="1.0")
def memset_io(k: Kernel, addr: Any, value: int, count: int) -> None:
    """Set ``count`` bytes of a device to ``value``."""
    k.ioremap.io.fill(_cookie(addr), value, count)


_OWN = [
    "MEMREMAP_WB",
    "MEMREMAP_WC",
    "MEMREMAP_WT",
    "devm_ioremap",
    "devm_ioremap_resource",
    "devm_ioremap_resource_wc",
    "devm_ioremap_uc",
    "devm_ioremap_wc",
    "devm_iounmap",
    "ioremap",
    "ioremap_cache",
    "ioremap_nocache",
    "ioremap_uc",
    "ioremap_wc",
    "ioremap_wt",
    "iounmap",
    "is_ioremap_addr",
    "memcpy_fromio",
    "memcpy_toio",
    "memremap",
    "memset_io",
    "memunmap",
    "page_to_phys",
    "phys_to_virt",
    "readb",
    "readb_relaxed",
    "readl",
    "readl_relaxed",
    "readq",
    "readq_relaxed",
    "readw",
    "readw_relaxed",
    "virt_to_phys",
    "writeb",
    "writeb_relaxed",
    "writel",
    "writel_relaxed",
    "writeq",
    "writeq_relaxed",
    "writew",
    "writew_relaxed",
]
__getattr__ = header_getattr(
    __name__,
    {
        "devm_memremap", "devm_memunmap", "ioremap_encrypted", "ioremap_prot",
    },
)  # fmt: skip
__all__ = sorted({*_OWN, *_iomap, *_ioport})  # noqa: PLE0605 -- a list
