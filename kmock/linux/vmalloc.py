"""``<linux/vmalloc.h>``: memory that is contiguous for the kernel, whatever its pages are.

``is_vmalloc_addr()`` and ``vmalloc_to_page()`` of ``<linux/mm.h>`` are here too, as in C by inclusion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.mm.gfp import __GFP_ZERO, GFP_KERNEL

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page


@api(since="1.0", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc(k: Kernel, size: int) -> Ptr:
    """Allocate ``size`` bytes that are virtually contiguous; NULL without memory."""
    return k.vmalloc.alloc(size)


@api(since="2.6.37", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vzalloc(k: Kernel, size: int) -> Ptr:
    """``vmalloc()`` of zeroed bytes."""
    return k.vmalloc.alloc(size, GFP_KERNEL | __GFP_ZERO)


@api(since="2.6.0", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_node(k: Kernel, size: int, node: int) -> Ptr:
    """``vmalloc()`` with pages of a node."""
    return k.vmalloc.alloc(size, GFP_KERNEL, node)


@api(since="2.6.37", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vzalloc_node(k: Kernel, size: int, node: int) -> Ptr:
    """``vzalloc()`` with pages of a node."""
    return k.vmalloc.alloc(size, GFP_KERNEL | __GFP_ZERO, node)


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def __vmalloc(k: Kernel, size: int, gfp_mask: int) -> Ptr:
    """``vmalloc()`` with gfp flags of one's own."""
    return k.vmalloc.alloc(size, gfp_mask)


@api(since="1.0", illegal=Where.NMI)
def vfree(k: Kernel, addr: Any) -> None:
    """Give vmalloc()ed memory back; NULL is nothing to do. Sleeps, but in an interrupt, which puts it off."""
    k.vmalloc.free(addr if addr.__class__ is Ptr else NULL if addr is None else as_ptr(addr))


@api(since="2.6.25")
def is_vmalloc_addr(k: Kernel, x: Any) -> bool:
    """Whether an address lies in the vmalloc area."""
    return k.layout.is_vmalloc(int(x or 0))


@api(since="2.4")
def vmalloc_to_page(k: Kernel, addr: Any) -> Page | Ptr:
    """The page behind an address of a vmalloc()ed area; NULL where nothing is mapped."""
    return k.vmalloc.to_page(int(addr)) or NULL


@api(since="2.6.0")
def vmalloc_to_pfn(k: Kernel, addr: Any) -> int:
    """The page frame behind an address of a vmalloc()ed area."""
    page = k.vmalloc.to_page(int(addr))
    return page.pfn if page is not None else 0


__getattr__ = header_getattr(
    __name__,
    {
        "alloc_vm_area", "find_vm_area", "free_vm_area", "get_vm_area", "get_vm_area_caller", "map_vm_area",
        "remap_vmalloc_range", "remove_vm_area", "vm_map_ram", "vm_unmap_aliases", "vm_unmap_ram", "vmalloc_32",
        "vmalloc_32_user", "vmalloc_array", "vmalloc_exec", "vmalloc_huge", "vmalloc_user", "vmap", "vread", "vunmap",
        "vcalloc", "vfree_atomic",
    },
)  # fmt: skip
__all__ = [
    "__vmalloc",
    "is_vmalloc_addr",
    "vfree",
    "vmalloc",
    "vmalloc_node",
    "vmalloc_to_page",
    "vmalloc_to_pfn",
    "vzalloc",
    "vzalloc_node",
]
