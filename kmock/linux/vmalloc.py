"""``<linux/vmalloc.h>``: memory that is contiguous for the kernel, whatever its pages are.

``is_vmalloc_addr()`` and ``vmalloc_to_page()`` of ``<linux/mm.h>`` are here too, as in C by inclusion, and so are the
protections of ``<asm/pgtable.h>``. A ``struct page **`` is a list of pages, or a pointer to an array of the addresses of
page structs (``page.address``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.current import current
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.rwlock import DEFINE_RWLOCK
from kmock.mm import remap
from kmock.mm import vread as _vread
from kmock.mm.gfp import __GFP_DMA32, __GFP_ZERO, GFP_KERNEL
from kmock.mm.pgprot import (
    PAGE_KERNEL,
    PAGE_KERNEL_EXEC,
    PAGE_KERNEL_NOCACHE,
    PAGE_KERNEL_RO,
    PAGE_KERNEL_ROX,
    pgprot_noncached,
    pgprot_nx,
    pgprot_writecombine,
)
from kmock.mm.vm_area import (
    VM_ALLOC,
    VM_ALLOW_HUGE_VMAP,
    VM_DMA_COHERENT,
    VM_FLUSH_RESET_PERMS,
    VM_IOREMAP,
    VM_KASAN,
    VM_MAP,
    VM_MAP_PUT_PAGES,
    VM_NO_GUARD,
    VM_UNINITIALIZED,
    VM_UNLIST,
    VM_USERMAP,
    VM_VPAGES,
    vm_struct,
)
from kmock.mm.vmalloc import IOREMAP_MAX_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.vm_struct import Pte
    from kmock.mm.vma import vm_area_struct

_ZEROED = GFP_KERNEL | __GFP_ZERO
_BELOW_4G = GFP_KERNEL | __GFP_DMA32
_PMD_SIZE = 2 << 20


def _p(addr: Any) -> Ptr:
    return addr if addr.__class__ is Ptr else NULL if addr is None else as_ptr(addr)


# -- allocating -----------------------------------------------------------------------------------------------------


@api(since="1.0", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc(k: Kernel, size: int) -> Ptr:
    """Allocate ``size`` bytes that are virtually contiguous; NULL without memory."""
    return k.vmalloc.alloc(size)


@api(since="2.6.37", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vzalloc(k: Kernel, size: int) -> Ptr:
    """``vmalloc()`` of zeroed bytes."""
    return k.vmalloc.alloc(size, _ZEROED)


@api(since="2.6.14", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_node(k: Kernel, size: int, node: int) -> Ptr:
    """``vmalloc()`` with pages of a node."""
    return k.vmalloc.alloc(size, GFP_KERNEL, node)


@api(since="2.6.37", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vzalloc_node(k: Kernel, size: int, node: int) -> Ptr:
    """``vzalloc()`` with pages of a node."""
    return k.vmalloc.alloc(size, _ZEROED, node)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_user(k: Kernel, size: int) -> Ptr:
    """``vzalloc()`` of memory that remap_vmalloc_range() may show to a process."""
    return k.vmalloc.alloc(size, _ZEROED, flags=VM_USERMAP)


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_32(k: Kernel, size: int) -> Ptr:
    """``vmalloc()`` with pages below 4 GiB."""
    return k.vmalloc.alloc(size, _BELOW_4G)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_32_user(k: Kernel, size: int) -> Ptr:
    """``vmalloc_user()`` with pages below 4 GiB."""
    return k.vmalloc.alloc(size, _BELOW_4G | __GFP_ZERO, flags=VM_USERMAP)


@api(since="2.6.10", until="5.8", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_exec(k: Kernel, size: int) -> Ptr:
    """``vmalloc()`` of memory that may be executed."""
    return k.vmalloc.alloc(size, prot=PAGE_KERNEL_EXEC)


@api(since="5.18", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_huge(k: Kernel, size: int, gfp_mask: int) -> Ptr:
    """``vmalloc()`` aligned for huge pages where it is large enough for one."""
    align = _PMD_SIZE if size >= _PMD_SIZE else 1
    return k.vmalloc.alloc(size, gfp_mask, flags=VM_ALLOW_HUGE_VMAP, align=align)


@api(since="5.18", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vmalloc_array(k: Kernel, n: int, size: int) -> Ptr:
    """``vmalloc()`` of an array; NULL where the product overflows."""
    return _array(k, n, size, GFP_KERNEL)


@api(since="5.18", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def vcalloc(k: Kernel, n: int, size: int) -> Ptr:
    """``vmalloc_array()`` of zeroed elements."""
    return _array(k, n, size, _ZEROED)


def _array(k: Kernel, n: int, size: int, gfp: int) -> Ptr:
    if n * size >> k.layout.bits:
        return k.vmalloc.failed("vmalloc_array", 0)
    return k.vmalloc.alloc(n * size, gfp)


@api(since="2.4", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def __vmalloc(k: Kernel, size: int, gfp_mask: int, prot: int = PAGE_KERNEL) -> Ptr:
    """``vmalloc()`` with gfp flags, and until 5.8 a protection, of one's own."""
    return k.vmalloc.alloc(size, gfp_mask, prot=prot)


@api(since="2.6.26", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def __vmalloc_node(k: Kernel, size: int, align: int, gfp_mask: int, node: int, caller: Any = None) -> Ptr:
    """``__vmalloc()`` with an alignment and a node; ``caller`` follows from the stack."""
    return k.vmalloc.alloc(size, gfp_mask, node, align=align)


@api(since="2.6.38", sleeps=Sleeps.ALWAYS, undo="vfree", fails=True, sleeper="vmalloc-atomic")
def __vmalloc_node_range(
    k: Kernel,
    size: int,
    align: int,
    start: int,
    end: int,
    gfp_mask: int,
    prot: int,
    vm_flags: int,
    node: int,
    caller: Any = None,
) -> Ptr:
    """What is beneath all of them: ``size`` bytes at an ``align``-ed address within ``[start, end)``."""
    return k.vmalloc.alloc(size, gfp_mask, node, flags=vm_flags, prot=prot, align=align, start=start, end=end)


@api(since="1.0", illegal=Where.NMI)
def vfree(k: Kernel, addr: Any) -> None:
    """Give vmalloc()ed memory back; NULL is nothing to do. Sleeps, but in an interrupt, which puts it off."""
    k.vmalloc.free(_p(addr))


@api(since="4.10", illegal=Where.NMI)
def vfree_atomic(k: Kernel, addr: Any) -> None:
    """``vfree()`` that always leaves the work for later, so that it can be called with a spinlock held."""
    k.vmalloc.free_atomic(_p(addr))


# -- mapping --------------------------------------------------------------------------------------------------------


@api(since="2.5", sleeps=Sleeps.ALWAYS, undo="vunmap", fails=True, sleeper="vmalloc-atomic")
def vmap(k: Kernel, pages: Sequence[Page] | Ptr, count: int, flags: int, prot: int) -> Ptr:
    """Map ``count`` pages side by side, taking no references; NULL if that fails.

    With VM_MAP_PUT_PAGES the array and a reference to each page go to the area, and vfree() gives them back.
    """
    return k.vmalloc.maps.vmap(pages, count, flags, prot)


@api(since="2.5", sleeps=Sleeps.ALWAYS, illegal=Where.NMI, sleeper="vfree-atomic")
def vunmap(k: Kernel, addr: Any) -> None:
    """Take a mapping of ``vmap()`` away and leave its pages alone; NULL is nothing to do."""
    k.vmalloc.vunmap(_p(addr))


@api(since="2.6.28", sleeps=Sleeps.ALWAYS, undo="vm_unmap_ram", fails=True, sleeper="vmalloc-atomic")
def vm_map_ram(k: Kernel, pages: Sequence[Page] | Ptr, count: int, node: int, prot: int = PAGE_KERNEL) -> Ptr:
    """``vmap()`` for a short time; NULL if that fails. ``node`` and, since 5.8, ``prot`` make no difference."""
    return k.vmalloc.blocks.map(pages, count)


@api(since="2.6.28", sleeps=Sleeps.ALWAYS, sleeper="vfree-atomic")
def vm_unmap_ram(k: Kernel, mem: Any, count: int) -> None:
    """Undo ``vm_map_ram()``, with the same ``count``."""
    k.vmalloc.blocks.unmap(_p(mem), count)


@api(since="2.6.28", sleeps=Sleeps.ALWAYS)
def vm_unmap_aliases(k: Kernel) -> None:
    """Let every processor forget what was unmapped; its addresses can be used again."""
    k.vmalloc.unmap_aliases()


@api(since="2.5", until="5.8", sleeps=Sleeps.ALWAYS, undo="unmap_kernel_range", fails=True, sleeper="vmalloc-atomic")
def map_vm_area(k: Kernel, area: vm_struct, prot: int, pages: Sequence[Page] | Ptr) -> int:
    """Map ``pages`` over a whole area, its guard page left out; 0 or a negative errno."""
    return k.vmalloc.maps.map_kernel_range(int(area.addr), get_vm_area_size(area), prot, pages)


@api(since="2.6.30", until="5.13", sleeps=Sleeps.ALWAYS, undo="unmap_kernel_range_noflush", fails=True)
def map_kernel_range_noflush(k: Kernel, start: int, size: int, prot: int, pages: Sequence[Page] | Ptr) -> int:
    """Map ``pages`` at ``start``; the caller flushes the cache. 0 or a negative errno."""
    return k.vmalloc.maps.map_kernel_range(int(start), size, prot, pages)


@api(since="2.6.30", until="5.13", replaced_by="vunmap_range")
def unmap_kernel_range_noflush(k: Kernel, addr: int, size: int) -> None:
    """Clear the page table entries of a range; neither its addresses nor its pages are given back."""
    k.vmalloc.maps.unmap_kernel_range(int(addr), size)


@api(since="2.6.28", until="5.13", replaced_by="vunmap_range")
def unmap_kernel_range(k: Kernel, addr: int, size: int) -> None:
    """``unmap_kernel_range_noflush()`` with the flushes."""
    k.vmalloc.maps.unmap_kernel_range(int(addr), size)


@api(since="5.13")
def vunmap_range(k: Kernel, addr: int, end: int) -> None:
    """Clear the page table entries of ``[addr, end)``."""
    k.vmalloc.maps.unmap_kernel_range(int(addr), int(end) - int(addr))


# -- areas ----------------------------------------------------------------------------------------------------------


@api(since="1.3", sleeps=Sleeps.ALWAYS, undo="free_vm_area", fails=True, sleeper="vmalloc-atomic")
def get_vm_area(k: Kernel, size: int, flags: int) -> vm_struct | Ptr:
    """Reserve addresses and map nothing there; NULL if that fails."""
    return k.vmalloc.structs.get(size, flags, "get_vm_area")


@api(since="2.6.26", sleeps=Sleeps.ALWAYS, undo="free_vm_area", fails=True, sleeper="vmalloc-atomic")
def get_vm_area_caller(k: Kernel, size: int, flags: int, caller: Any = None) -> vm_struct | Ptr:
    """``get_vm_area()``; ``caller`` follows from the stack."""
    return k.vmalloc.structs.get(size, flags, "get_vm_area_caller")


@api(since="2.6.0", until="5.5", sleeps=Sleeps.ALWAYS, undo="free_vm_area", fails=True, sleeper="vmalloc-atomic")
def __get_vm_area(k: Kernel, size: int, flags: int, start: int, end: int) -> vm_struct | Ptr:
    """``get_vm_area()`` within ``[start, end)``."""
    return k.vmalloc.structs.get(size, flags, "__get_vm_area", start, end)


@api(since="2.6.28", sleeps=Sleeps.ALWAYS, undo="free_vm_area", fails=True, sleeper="vmalloc-atomic")
def __get_vm_area_caller(k: Kernel, size: int, flags: int, start: int, end: int, caller: Any = None) -> vm_struct | Ptr:
    """``get_vm_area_caller()`` within ``[start, end)``."""
    return k.vmalloc.structs.get(size, flags, "__get_vm_area_caller", start, end)


@api(since="2.6.18", until="5.10", sleeps=Sleeps.ALWAYS, undo="free_vm_area", fails=True, sleeper="vmalloc-atomic")
def alloc_vm_area(k: Kernel, size: int, ptes: list[Pte] | None = None) -> vm_struct | Ptr:
    """Reserve addresses with their page tables; the list ``ptes``, since 3.1, is filled with the entry of each page."""
    return k.vmalloc.structs.alloc(size, ptes)


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, sleeper="vfree-atomic")
def free_vm_area(k: Kernel, area: vm_struct) -> None:
    """Give back what ``get_vm_area()`` or ``alloc_vm_area()`` reserved."""
    k.vmalloc.structs.free(area)


@api(since="2.5", sleeps=Sleeps.ALWAYS, undo="kfree", fails=True, sleeper="vfree-atomic")
def remove_vm_area(k: Kernel, addr: Any) -> vm_struct | Ptr:
    """Unmap the area at ``addr``; its ``vm_struct``, for the caller to kfree(). NULL if there is none."""
    return k.vmalloc.structs.remove(int(addr))


@api(since="2.6.30")
def find_vm_area(k: Kernel, addr: Any) -> vm_struct | Ptr:
    """The area that ``addr`` lies in; NULL if there is none."""
    return k.vmalloc.structs.find(int(addr))


def get_vm_area_size(area: vm_struct) -> int:
    """Bytes of an area that can be mapped: all but its guard page."""
    return int(area.size) - (0 if int(area.flags) & VM_NO_GUARD else 4096)


@api(since="2.6.32", sleeps=Sleeps.ALWAYS, undo="pcpu_free_vm_areas", fails=True, sleeper="vmalloc-atomic")
def pcpu_get_vm_areas(
    k: Kernel, offsets: Sequence[int], sizes: Sequence[int], nr_vms: int, align: int
) -> list[vm_struct] | Ptr:
    """Areas at the given offsets from one base, as high as they fit; NULL if they don't."""
    return k.vmalloc.structs.congruent(list(offsets[:nr_vms]), list(sizes[:nr_vms]), align)


@api(since="2.6.32", sleeps=Sleeps.ALWAYS, sleeper="vfree-atomic")
def pcpu_free_vm_areas(k: Kernel, vms: Sequence[vm_struct], nr_vms: int) -> None:
    """Give back what ``pcpu_get_vm_areas()`` returned."""
    for area in vms[:nr_vms]:
        k.vmalloc.structs.free(area)


# -- boot -----------------------------------------------------------------------------------------------------------


@api(since="3.3")
def vm_area_add_early(k: Kernel, vm: vm_struct) -> None:
    """Add an area with an address of its own while the machine boots (``k.vmalloc.structs.booting()``)."""
    k.vmalloc.structs.add_early(vm)


@api(since="2.6.30")
def vm_area_register_early(k: Kernel, vm: vm_struct, align: int) -> None:
    """Find an address for an area while the machine boots, and add it."""
    k.vmalloc.structs.register_early(vm, align)


@api(since="2.6.28")
def vmalloc_init(k: Kernel) -> None:
    """Make areas of what was added early: the end of that part of the boot."""
    k.vmalloc.structs.init()


@api(since="2.6.18", until="5.8")
def vmalloc_sync_all(k: Kernel) -> None:
    """Carry the kernel's page tables over to all processes, which share them here."""
    k.vmalloc.structs.all()


# -- looking --------------------------------------------------------------------------------------------------------


@api(since="1.0", until="6.4", replaced_by="vread_iter")
def vread(k: Kernel, buf: Any, addr: Any, count: int) -> int:
    """Copy ``count`` bytes of vmalloc space to ``buf``, zeros for holes and ioremap areas; 0 where no area is."""
    return _vread.vread(k, _p(buf), int(addr), count)


@api(since="2.4", until="5.13")
def vwrite(k: Kernel, buf: Any, addr: Any, count: int) -> int:
    """Copy ``count`` bytes from ``buf`` to vmalloc space, skipping holes and ioremap areas; 0 where no area is."""
    return _vread.vwrite(k, _p(buf), int(addr), count)


@api(since="2.6.25")
def is_vmalloc_addr(k: Kernel, x: Any) -> bool:
    """Whether an address lies in the vmalloc area."""
    return k.layout.is_vmalloc(int(x or 0))


@api(since="2.6.27")
def is_vmalloc_or_module_addr(k: Kernel, x: Any) -> bool:
    """Whether an address lies in the vmalloc area or among the modules."""
    return k.layout.is_vmalloc(int(x or 0)) or k.layout.modules <= int(x or 0) < k.layout.modules_end


@api(since="2.5")
def vmalloc_to_page(k: Kernel, addr: Any) -> Page | Ptr:
    """The page behind an address of a vmalloc()ed area; NULL where nothing is mapped."""
    return k.vmalloc.to_page(int(addr)) or NULL


@api(since="2.5")
def vmalloc_to_pfn(k: Kernel, addr: Any) -> int:
    """The page frame behind an address of a vmalloc()ed area."""
    page = k.vmalloc.to_page(int(addr))
    return page.pfn if page is not None else 0


class Vmlist:
    """``vmlist``, until 3.10: stands for the first area, whose members it has; iterating gives them all, by address."""

    __slots__ = ()

    def __iter__(self) -> Iterator[vm_struct]:
        return iter(current.get().vmalloc.structs.all())

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __getattr__(self, name: str) -> Any:
        if current.kernel is None:
            # Whoever looks at a module's names, as pytest does, asks everything for attributes.
            raise AttributeError(f"vmlist.{name}: no kernel runs")
        return getattr(next(iter(self), NULL), name)


vmlist = Vmlist()
vmlist_lock = DEFINE_RWLOCK("vmlist_lock")


@api(since="2.6.18", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def remap_vmalloc_range(k: Kernel, vma: vm_area_struct, addr: Any, pgoff: int) -> int:
    """Show memory of vmalloc_user(), from page ``pgoff`` behind ``addr`` on, all over an area; 0 or -errno.

    Each page takes a reference until it is unmapped.
    """
    size = vma.vm_end - vma.vm_start
    return remap.remap_vmalloc_range_partial(vma, vma.vm_start, int(addr), int(pgoff), size)


@api(since="3.11", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def remap_vmalloc_range_partial(k: Kernel, vma: vm_area_struct, uaddr: int, kaddr: Any, pgoff: int, size: int) -> int:
    """:func:`remap_vmalloc_range` of ``size`` bytes at ``uaddr``."""
    return remap.remap_vmalloc_range_partial(vma, int(uaddr), int(kaddr), int(pgoff), int(size))


__getattr__ = header_getattr(__name__, {"vmap_pfn", "vread_iter"})
__all__ = [
    "IOREMAP_MAX_ORDER",
    "PAGE_KERNEL",
    "PAGE_KERNEL_EXEC",
    "PAGE_KERNEL_NOCACHE",
    "PAGE_KERNEL_RO",
    "PAGE_KERNEL_ROX",
    "VM_ALLOC",
    "VM_ALLOW_HUGE_VMAP",
    "VM_DMA_COHERENT",
    "VM_FLUSH_RESET_PERMS",
    "VM_IOREMAP",
    "VM_KASAN",
    "VM_MAP",
    "VM_MAP_PUT_PAGES",
    "VM_NO_GUARD",
    "VM_UNINITIALIZED",
    "VM_UNLIST",
    "VM_USERMAP",
    "VM_VPAGES",
    "__get_vm_area",
    "__get_vm_area_caller",
    "__vmalloc",
    "__vmalloc_node",
    "__vmalloc_node_range",
    "alloc_vm_area",
    "find_vm_area",
    "free_vm_area",
    "get_vm_area",
    "get_vm_area_caller",
    "get_vm_area_size",
    "is_vmalloc_addr",
    "is_vmalloc_or_module_addr",
    "map_kernel_range_noflush",
    "map_vm_area",
    "pcpu_free_vm_areas",
    "pcpu_get_vm_areas",
    "pgprot_noncached",
    "pgprot_nx",
    "pgprot_writecombine",
    "remap_vmalloc_range",
    "remap_vmalloc_range_partial",
    "remove_vm_area",
    "unmap_kernel_range",
    "unmap_kernel_range_noflush",
    "vcalloc",
    "vfree",
    "vfree_atomic",
    "vm_area_add_early",
    "vm_area_register_early",
    "vm_map_ram",
    "vm_struct",
    "vm_unmap_aliases",
    "vm_unmap_ram",
    "vmalloc",
    "vmalloc_32",
    "vmalloc_32_user",
    "vmalloc_array",
    "vmalloc_exec",
    "vmalloc_huge",
    "vmalloc_init",
    "vmalloc_node",
    "vmalloc_sync_all",
    "vmalloc_to_page",
    "vmalloc_to_pfn",
    "vmalloc_user",
    "vmap",
    "vmlist",
    "vmlist_lock",
    "vread",
    "vunmap",
    "vunmap_range",
    "vwrite",
    "vzalloc",
    "vzalloc_node",
]
