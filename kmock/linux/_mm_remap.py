"""The part of ``<linux/mm.h>`` about showing memory to processes: ``remap_pfn_range()``, ``vm_insert_page()`` and their kin."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kmock.linux._api import Sleeps, Where, api
from kmock.mm import insert, remap, zap
from kmock.mm.vm_fault import VM_FAULT_OOM, VM_FAULT_SIGBUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.kernel.spinlock import spinlock_t
    from kmock.machine import Kernel
    from kmock.mm.address_space import address_space
    from kmock.mm.mm_struct import mm_struct
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct
    from kmock.mm.zap import pte_t

# -- ranges of frames -----------------------------------------------------------------------------------------------


@api(since="2.6.10", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def remap_pfn_range(k: Kernel, vma: vm_area_struct, addr: int, pfn: int, size: int, prot: int) -> int:
    """Show the frames from ``pfn`` on at ``addr`` of an area, ``size`` bytes of them; 0 or -errno.

    For an mmap handler. No reference is taken: the driver keeps the memory for as long as it is shown.
    """
    return remap.remap_pfn_range(vma, int(addr), int(pfn), int(size), prot)


@api(since="2.6.11", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def io_remap_pfn_range(k: Kernel, vma: vm_area_struct, addr: int, pfn: int, size: int, prot: int) -> int:
    """:func:`remap_pfn_range` of a device's memory."""
    return remap.remap_pfn_range(vma, int(addr), int(pfn), int(size), prot)


@api(
    since="2.2",
    until="2.6.11",
    replaced_by="remap_pfn_range",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    fails=True,
)
def remap_page_range(k: Kernel, vma: vm_area_struct, from_: int, phys_addr: int, size: int, prot: int) -> int:
    """Show memory by its physical address; of RAM, only pages that are PG_reserved, and zeroes for others."""
    return remap.remap_page_range(vma, int(from_), int(phys_addr), int(size), prot)


@api(since="3.9", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vm_iomap_memory(k: Kernel, vma: vm_area_struct, start: int, len: int) -> int:
    """Show a device's memory, ``len`` bytes at physical ``start``, all over an area; 0 or -errno.

    The area's ``vm_pgoff`` is where in the memory it begins; -EINVAL where it does not fit.
    """
    return remap.vm_iomap_memory(vma, int(start), int(len))


# -- pages and frames, one by one -----------------------------------------------------------------------------------


@api(since="2.6.15", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vm_insert_page(k: Kernel, vma: vm_area_struct, addr: int, page: Page) -> int:
    """Show a page at ``addr``, which takes a reference to it until it is unmapped; 0 or -errno."""
    return insert.vm_insert_page(vma, int(addr), page)


@api(since="5.8", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vm_insert_pages(k: Kernel, vma: vm_area_struct, addr: int, pages: Sequence[Page], num: int) -> tuple[int, int]:
    """:func:`vm_insert_page` of ``num`` pages; 0 or -errno, and how many were not inserted."""
    return insert.vm_insert_pages(vma, int(addr), pages, int(num))


@api(since="5.2", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vm_map_pages(k: Kernel, vma: vm_area_struct, pages: Sequence[Page], num: int) -> int:
    """Show an object of ``num`` pages, from page ``vm_pgoff`` on, all over an area; 0, -ENXIO or another error."""
    return insert.vm_map_pages(vma, pages, int(num), vma.vm_pgoff)


@api(since="5.2", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vm_map_pages_zero(k: Kernel, vma: vm_area_struct, pages: Sequence[Page], num: int) -> int:
    """:func:`vm_map_pages` from the first page on, whatever the process asked for."""
    return insert.vm_map_pages(vma, pages, int(num), 0)


@api(
    since="2.6.20",
    until="4.20",
    replaced_by="vmf_insert_pfn",
    sleeps=Sleeps.ALWAYS,
    illegal=Where.INTERRUPT,
    fails=True,
)
def vm_insert_pfn(k: Kernel, vma: vm_area_struct, addr: int, pfn: int) -> int:
    """Show one frame at ``addr`` of an area that is VM_PFNMAP; 0, -EBUSY where there is one, or another error."""
    busy = vma.vm_mm.pte(int(addr))
    found = insert.vmf_insert_pfn(vma, int(addr), int(pfn), vma.vm_page_prot)
    errors = {VM_FAULT_OOM: -errno.ENOMEM, VM_FAULT_SIGBUS: -errno.EFAULT}
    return errors.get(found, -errno.EBUSY if busy else 0)


@api(since="4.17", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vmf_insert_pfn(k: Kernel, vma: vm_area_struct, addr: int, pfn: int) -> int:
    """Show one frame at ``addr`` of an area that is VM_PFNMAP: for a fault handler to return the result of."""
    return insert.vmf_insert_pfn(vma, int(addr), int(pfn), vma.vm_page_prot)


@api(since="4.20", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vmf_insert_pfn_prot(k: Kernel, vma: vm_area_struct, addr: int, pfn: int, pgprot: int) -> int:
    """:func:`vmf_insert_pfn` with another protection than the area's."""
    return insert.vmf_insert_pfn(vma, int(addr), int(pfn), pgprot)


@api(since="4.17", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vmf_insert_mixed(k: Kernel, vma: vm_area_struct, addr: int, pfn: int) -> int:
    """Show the frame of a ``pfn_t`` at ``addr`` of an area that is VM_MIXEDMAP."""
    return insert.vmf_insert_mixed(vma, int(addr), pfn, vma.vm_page_prot, mkwrite=False)


@api(since="5.5", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vmf_insert_mixed_prot(k: Kernel, vma: vm_area_struct, addr: int, pfn: int, pgprot: int) -> int:
    """:func:`vmf_insert_mixed` with another protection than the area's."""
    return insert.vmf_insert_mixed(vma, int(addr), pfn, pgprot, mkwrite=False)


@api(since="4.17", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def vmf_insert_mixed_mkwrite(k: Kernel, vma: vm_area_struct, addr: int, pfn: int) -> int:
    """:func:`vmf_insert_mixed` of a frame that is about to be written to; what is there becomes writable."""
    return insert.vmf_insert_mixed(vma, int(addr), pfn, vma.vm_page_prot, mkwrite=True)


# -- taking away ----------------------------------------------------------------------------------------------------


@api(since="2.6.27", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def zap_vma_ptes(k: Kernel, vma: vm_area_struct, address: int, size: int) -> int:
    """Take frames away from an area that is VM_PFNMAP. Before 4.18 it returned -1 where there was nothing to do it in."""
    return zap.zap_vma_ptes(vma, int(address), int(size))


@api(since="2.0", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def zap_page_range(k: Kernel, vma: vm_area_struct, start: int, size: int) -> None:
    """Take pages and frames away from areas, beginning with ``vma``; the process may fault them in again."""
    zap.zap_page_range(vma, int(start), int(size))


@api(since="2.6.8", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def unmap_mapping_range(k: Kernel, mapping: address_space, holebegin: int, holelen: int, even_cows: int) -> None:
    """Take bytes of a file away from all processes that map it; ``holelen`` 0 is all the rest.

    With ``even_cows`` the private copies go too that processes have made.
    """
    zap.unmap_mapping_range(k, mapping, int(holebegin), int(holelen), even_cows=bool(even_cows))


@api(since="4.15", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT)
def unmap_mapping_pages(k: Kernel, mapping: address_space, start: int, nr: int, even_cows: bool) -> None:
    """:func:`unmap_mapping_range`, counted in pages."""
    zap.unmap_mapping_range(k, mapping, start << 12, nr << 12, even_cows=even_cows)


# -- looking --------------------------------------------------------------------------------------------------------


@api(since="2.6.31", until="6.10", replaced_by="follow_pte")
def follow_pfn(k: Kernel, vma: vm_area_struct, address: int) -> tuple[int, int]:
    """Return 0 and the frame that is shown at an address, or -EINVAL. Nothing keeps it there."""
    return zap.follow_pfn(vma, int(address))


@api(since="4.10", undo="pte_unmap_unlock", fails=True)
def follow_pte(k: Kernel, mm: mm_struct, address: int) -> tuple[int, pte_t | None, spinlock_t | None]:
    """Return 0, the page table's entry for an address, and its lock, which is held then; or -EINVAL."""
    found = zap.follow_pte(mm, int(address))
    if found is None:
        return -errno.EINVAL, None, None
    return 0, found, zap.lock_table(mm)


@api(since="2.6.15")
def pte_unmap_unlock(k: Kernel, pte: pte_t, ptl: spinlock_t) -> None:
    """Release the lock that :func:`follow_pte` took."""
    zap.unlock_table(k, ptl)


@api(since="2.6.28", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def generic_access_phys(k: Kernel, vma: vm_area_struct, addr: int, buf: Any, len: int, write: int) -> int:
    """Copy from or to device memory that an area shows: for ``vm_ops->access``, so that debuggers see it."""
    return zap.generic_access_phys(vma, int(addr), buf, int(len), write=bool(write))


__all__ = [
    "follow_pfn",
    "follow_pte",
    "generic_access_phys",
    "io_remap_pfn_range",
    "pte_unmap_unlock",
    "remap_page_range",
    "remap_pfn_range",
    "unmap_mapping_pages",
    "unmap_mapping_range",
    "vm_insert_page",
    "vm_insert_pages",
    "vm_insert_pfn",
    "vm_iomap_memory",
    "vm_map_pages",
    "vm_map_pages_zero",
    "vmf_insert_mixed",
    "vmf_insert_mixed_mkwrite",
    "vmf_insert_mixed_prot",
    "vmf_insert_pfn",
    "vmf_insert_pfn_prot",
    "zap_page_range",
    "zap_vma_ptes",
]
