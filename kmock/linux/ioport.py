"""``<linux/ioport.h>``: claiming bus addresses, and the trees that tell who has which (``kernel/resource.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kmock.current import current
from kmock.kernel.resource import (
    IORESOURCE_BUSY,
    IORESOURCE_EXT_TYPE_BITS,
    IORESOURCE_IO,
    IORESOURCE_MEM,
    IORESOURCE_SYSRAM,
    IORESOURCE_SYSTEM_RAM,
    IORESOURCE_TYPE_BITS,
    Resource,
    adopt,
    insert,
    remove,
)
from kmock.lang.ptr import NULL, Ptr
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel

# fmt: off
IORESOURCE_BITS: Final        = 0x0000_00FF
IORESOURCE_REG: Final         = 0x0000_0300
IORESOURCE_IRQ: Final         = 0x0000_0400
IORESOURCE_DMA: Final         = 0x0000_0800
IORESOURCE_BUS: Final         = 0x0000_1000
IORESOURCE_PREFETCH: Final    = 0x0000_2000
IORESOURCE_READONLY: Final    = 0x0000_4000
IORESOURCE_CACHEABLE: Final   = 0x0000_8000
IORESOURCE_RANGELENGTH: Final = 0x0001_0000
IORESOURCE_SHADOWABLE: Final  = 0x0002_0000
IORESOURCE_SIZEALIGN: Final   = 0x0004_0000
IORESOURCE_STARTALIGN: Final  = 0x0008_0000
IORESOURCE_MEM_64: Final      = 0x0010_0000
IORESOURCE_WINDOW: Final      = 0x0020_0000
IORESOURCE_MUXED: Final       = 0x0040_0000
IORESOURCE_EXCLUSIVE: Final   = 0x0800_0000
IORESOURCE_DISABLED: Final    = 0x1000_0000
IORESOURCE_UNSET: Final       = 0x2000_0000
IORESOURCE_AUTO: Final        = 0x4000_0000
IORES_DESC_NONE: Final        = 0
# fmt: on

resource = Resource
_FIELDS: Final = ("child", "desc", "end", "flags", "name", "parent", "sibling", "start")


class Root:
    """``iomem_resource`` and ``ioport_resource``: the root of the running kernel's tree."""

    def __init__(self, name: str) -> None:
        self._name = name

    def of(self, k: Kernel) -> Resource:
        """Return the tree's root on one kernel."""
        root: Resource = getattr(k.resources, self._name)
        return root

    def __getattr__(self, name: str) -> object:
        if name not in _FIELDS:
            raise AttributeError(f"struct resource has no {name}")
        return getattr(self.of(current.get()), name)


iomem_resource = Root("iomem")
ioport_resource = Root("ioport")


def _node(k: Kernel, root: Resource | Root) -> Resource:
    return root.of(k) if isinstance(root, Root) else root


# --- regions ------------------------------------------------------------------------------------------------------------


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="__release_region", fails=True)
def __request_region(
    k: Kernel, parent: Resource | Root, start: int, n: int, name: str, flags: int = 0
) -> Resource | Ptr:
    """Claim the addresses ``[start, start + n)`` of a tree under ``name``; NULL where somebody has any of them."""
    return k.resources.request_region(_node(k, parent), start, n, name, flags) or NULL


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="release_mem_region", fails=True)
def request_mem_region(k: Kernel, start: int, n: int, name: str) -> Resource | Ptr:
    """Claim the physical addresses ``[start, start + n)``; NULL where somebody has any of them."""
    return k.resources.request_region(k.resources.iomem, start, n, name) or NULL


@api(since="2.6.29", sleeps=Sleeps.ALWAYS, undo="release_mem_region", fails=True)
def request_mem_region_exclusive(k: Kernel, start: int, n: int, name: str) -> Resource | Ptr:
    """``request_mem_region()`` of what user space may not map."""
    return k.resources.request_region(k.resources.iomem, start, n, name, IORESOURCE_EXCLUSIVE) or NULL


@api(since="1.0", sleeps=Sleeps.ALWAYS, undo="release_region", fails=True)
def request_region(k: Kernel, start: int, n: int, name: str) -> Resource | Ptr:
    """Claim the I/O ports ``[start, start + n)``; NULL where somebody has any of them."""
    return k.resources.request_region(k.resources.ioport, start, n, name) or NULL


@api(since="2.4")
def __release_region(k: Kernel, parent: Resource | Root, start: int, n: int) -> None:
    """Give back exactly the addresses that ``__request_region()`` claimed."""
    k.resources.release_region(_node(k, parent), start, n)


@api(since="2.4")
def release_mem_region(k: Kernel, start: int, n: int) -> None:
    """Give back exactly the addresses that ``request_mem_region()`` claimed."""
    k.resources.release_region(k.resources.iomem, start, n)


@api(since="1.0")
def release_region(k: Kernel, start: int, n: int) -> None:
    """Give back exactly the ports that ``request_region()`` claimed."""
    k.resources.release_region(k.resources.ioport, start, n)


# --- resources ----------------------------------------------------------------------------------------------------------


@api(since="2.4", undo="release_resource", fails=True)
def request_resource(k: Kernel, root: Resource | Root, new: Resource) -> int:
    """Make ``new`` a child of ``root``; -EBUSY where something is in the way."""
    return -16 if insert(_node(k, root), new) is not None else 0


@api(since="2.6.33", undo="release_resource", fails=True)
def request_resource_conflict(k: Kernel, root: Resource | Root, new: Resource) -> Resource | Ptr:
    """``request_resource()``; return what is in the way, NULL if nothing is."""
    return insert(_node(k, root), new) or NULL


@api(since="2.6.0", undo="release_resource", fails=True)
def insert_resource(k: Kernel, parent: Resource | Root, new: Resource) -> int:
    """Make ``new`` a descendant of ``parent``, and what it covers its children; -EBUSY where something overlaps."""
    return -16 if adopt(_node(k, parent), new) is not None else 0


@api(since="2.4")
def release_resource(k: Kernel, old: Resource) -> int:
    """Take a resource out of its tree; -EINVAL where it is in none."""
    return remove(old)


@api(since="3.13")
def lookup_resource(k: Kernel, root: Resource | Root, start: int) -> Resource | Ptr:
    """The child of ``root`` that begins at ``start``; NULL if there is none."""
    return next((r for r in _node(k, root).children if r.start == start), NULL)


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, undo="devm_release_mem_region", fails=True)
def devm_request_mem_region(k: Kernel, dev: device, start: int, n: int, name: str) -> Resource | Ptr:
    """:func:`request_mem_region` for as long as the driver is there."""
    return k.managed.request_region(dev, k.resources.iomem, start, n, name) or NULL


@api(since="2.6.21", sleeps=Sleeps.ALWAYS, undo="devm_release_region", fails=True)
def devm_request_region(k: Kernel, dev: device, start: int, n: int, name: str) -> Resource | Ptr:
    """:func:`request_region` for as long as the driver is there."""
    return k.managed.request_region(dev, k.resources.ioport, start, n, name) or NULL


@api(since="2.6.21")
def devm_release_mem_region(k: Kernel, dev: device, start: int, n: int) -> None:
    """Release a managed region early."""
    k.managed.release_region(dev, k.resources.iomem, start, n)


@api(since="2.6.21")
def devm_release_region(k: Kernel, dev: device, start: int, n: int) -> None:
    """Release managed ports early."""
    k.managed.release_region(dev, k.resources.ioport, start, n)


def resource_size(res: Resource) -> int:
    """How many addresses a resource has."""
    return res.end - res.start + 1


def resource_type(res: Resource) -> int:
    """``IORESOURCE_MEM``, ``IORESOURCE_IO``..."""
    return res.flags & IORESOURCE_TYPE_BITS


def resource_contains(r1: Resource, r2: Resource) -> bool:
    """Whether ``r1`` completely contains ``r2``, of the same type."""
    unset = (r1.flags | r2.flags) & IORESOURCE_UNSET
    return resource_type(r1) == resource_type(r2) and not unset and r1.start <= r2.start and r1.end >= r2.end


def resource_overlaps(r1: Resource, r2: Resource) -> bool:
    """Whether any address is in both."""
    return r1.overlaps(r2.start, r2.end)


# --- tables of resources ------------------------------------------------------------------------------------------------


def DEFINE_RES_NAMED(start: int, size: int, name: str, flags: int) -> Resource:
    """A resource of ``size`` addresses."""
    return Resource(start, start + size - 1, name, flags)


def DEFINE_RES_MEM_NAMED(start: int, size: int, name: str) -> Resource:
    """A resource of memory addresses, with a name."""
    return DEFINE_RES_NAMED(start, size, name, IORESOURCE_MEM)


def DEFINE_RES_MEM(start: int, size: int) -> Resource:
    """A resource of memory addresses."""
    return DEFINE_RES_NAMED(start, size, "", IORESOURCE_MEM)


def DEFINE_RES_IO(start: int, size: int) -> Resource:
    """A resource of I/O ports."""
    return DEFINE_RES_NAMED(start, size, "", IORESOURCE_IO)


def DEFINE_RES_IRQ(irq: int) -> Resource:
    """A resource that is one interrupt line."""
    return DEFINE_RES_NAMED(irq, 1, "", IORESOURCE_IRQ)


__getattr__ = header_getattr(
    __name__,
    {
        "adjust_resource", "allocate_resource", "check_region",
        "insert_resource_conflict", "release_child_resources",
        "remove_resource", "request_mem_region_muxed", "request_muxed_region", "resource_alignment",
        "resource_intersection", "resource_union",
    },
)  # fmt: skip
__all__ = [
    "DEFINE_RES_IO",
    "DEFINE_RES_IRQ",
    "DEFINE_RES_MEM",
    "DEFINE_RES_MEM_NAMED",
    "DEFINE_RES_NAMED",
    "IORESOURCE_AUTO",
    "IORESOURCE_BITS",
    "IORESOURCE_BUS",
    "IORESOURCE_BUSY",
    "IORESOURCE_CACHEABLE",
    "IORESOURCE_DISABLED",
    "IORESOURCE_DMA",
    "IORESOURCE_EXCLUSIVE",
    "IORESOURCE_EXT_TYPE_BITS",
    "IORESOURCE_IO",
    "IORESOURCE_IRQ",
    "IORESOURCE_MEM",
    "IORESOURCE_MEM_64",
    "IORESOURCE_MUXED",
    "IORESOURCE_PREFETCH",
    "IORESOURCE_RANGELENGTH",
    "IORESOURCE_READONLY",
    "IORESOURCE_REG",
    "IORESOURCE_SHADOWABLE",
    "IORESOURCE_SIZEALIGN",
    "IORESOURCE_STARTALIGN",
    "IORESOURCE_SYSRAM",
    "IORESOURCE_SYSTEM_RAM",
    "IORESOURCE_TYPE_BITS",
    "IORESOURCE_UNSET",
    "IORESOURCE_WINDOW",
    "IORES_DESC_NONE",
    "__release_region",
    "__request_region",
    "devm_release_mem_region",
    "devm_release_region",
    "devm_request_mem_region",
    "devm_request_region",
    "insert_resource",
    "iomem_resource",
    "ioport_resource",
    "lookup_resource",
    "release_mem_region",
    "release_region",
    "release_resource",
    "request_mem_region",
    "request_mem_region_exclusive",
    "request_region",
    "request_resource",
    "request_resource_conflict",
    "resource",
    "resource_contains",
    "resource_overlaps",
    "resource_size",
    "resource_type",
]
