"""``<linux/dma-mapping.h>``: memory that devices read and write.

A handle (``dma_addr_t``) is an int: what the device puts on the bus. What C returns through ``dma_addr_t *`` comes back as
the second of two values: ``vaddr, dma = dma_alloc_coherent(dev, size, GFP_KERNEL)``.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from kmock.current import current
from kmock.dma import masks as _masks
from kmock.dma import mmap
from kmock.dma import scatterlist as _sg
from kmock.dma.cache import CACHELINE
from kmock.dma.masks import DMA_BIT_MASK, SZ_4G_MASK
from kmock.dma.scatterlist import scatterlist, sg_table
from kmock.lang.ptr import NULL, Ptr
from kmock.lang.struct import as_ptr
from kmock.linux._api import Sleeps, Where, api
from kmock.linux._header import header_getattr
from kmock.linux.device import device
from kmock.linux.dma_direction import (
    DMA_BIDIRECTIONAL,
    DMA_FROM_DEVICE,
    DMA_NONE,
    DMA_TO_DEVICE,
    valid_dma_direction,
)
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.physaddr import virt_to_page
from kmock.sanitizers.dma_entry import (
    DMA_ATTR_ALLOC_SINGLE_PAGES,
    DMA_ATTR_FORCE_CONTIGUOUS,
    DMA_ATTR_NO_KERNEL_MAPPING,
    DMA_ATTR_NO_WARN,
    DMA_ATTR_PRIVILEGED,
    DMA_ATTR_SKIP_CPU_SYNC,
    DMA_ATTR_WEAK_ORDERING,
    DMA_ATTR_WRITE_COMBINE,
    DMA_MAPPING_ERROR,
)

if TYPE_CHECKING:
    from kmock.dma.scatterlist import Sgl
    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.vma import vm_area_struct


def _p(addr: Any) -> Ptr:
    return addr if addr.__class__ is Ptr else NULL if addr is None else as_ptr(addr)


# -- coherent memory ------------------------------------------------------------------------------------------------


@api(since="2.5.40", sleeps=Sleeps.GFP, undo="dma_free_coherent", fails=True, sleeper="dma-alloc-atomic")
def dma_alloc_coherent(k: Kernel, dev: device, size: int, gfp: int) -> tuple[Ptr, int]:
    """Allocate ``size`` zeroed bytes that processor and device may use at once; ``(NULL, DMA_MAPPING_ERROR)`` without.

    Returns the kernel's address and the device's. ``dev.coherent_dma_mask`` decides where the pages come from, not
    the zone bits of ``gfp``. Both addresses are aligned to the smallest power of two pages that hold ``size``.
    """
    return k.dma.memory.alloc(dev, size, gfp, DMA_ATTR_NO_WARN if gfp & GFP_NOWARN else 0)


@api(since="2.5.40")
def dma_free_coherent(k: Kernel, dev: device, size: int, cpu_addr: int, dma_handle: int) -> None:
    """Give back what ``dma_alloc_coherent()`` gave, with the same device and size; interrupts must be on."""
    k.dma.memory.free(dev, size, _p(cpu_addr), dma_handle, 0)


@api(since="3.4", sleeps=Sleeps.GFP, undo="dma_free_attrs", fails=True, sleeper="dma-alloc-atomic")
def dma_alloc_attrs(k: Kernel, dev: device, size: int, gfp: int, attrs: int) -> tuple[Ptr, int]:
    """``dma_alloc_coherent()`` with attributes (``DMA_ATTR_*``)."""
    return k.dma.memory.alloc(dev, size, gfp, attrs)


@api(since="3.4")
def dma_free_attrs(k: Kernel, dev: device, size: int, cpu_addr: int, dma_handle: int, attrs: int) -> None:
    """Give back what ``dma_alloc_attrs()`` gave, with the same attributes."""
    k.dma.memory.free(dev, size, _p(cpu_addr), dma_handle, attrs)


@api(since="3.4", sleeps=Sleeps.GFP, undo="dma_free_wc", fails=True, sleeper="dma-alloc-atomic")
def dma_alloc_wc(k: Kernel, dev: device, size: int, gfp: int) -> tuple[Ptr, int]:
    """``dma_alloc_coherent()`` of memory whose writes the processor may combine."""
    no_warn = DMA_ATTR_NO_WARN if gfp & GFP_NOWARN else 0
    return k.dma.memory.alloc(dev, size, gfp, DMA_ATTR_WRITE_COMBINE | no_warn)


@api(since="3.4")
def dma_free_wc(k: Kernel, dev: device, size: int, cpu_addr: int, dma_addr: int) -> None:
    """Give back what ``dma_alloc_wc()`` gave."""
    k.dma.memory.free(dev, size, _p(cpu_addr), dma_addr, DMA_ATTR_WRITE_COMBINE)


@api(since="5.10", sleeps=Sleeps.GFP, undo="dma_free_pages", fails=True, sleeper="dma-alloc-atomic")
def dma_alloc_pages(k: Kernel, dev: device, size: int, dir: int, gfp: int) -> tuple[Page | Ptr, int]:
    """Allocate pages that are mapped for ``dev`` from the start and need syncs; ``(NULL, DMA_MAPPING_ERROR)`` without."""
    page, dma = k.dma.memory.alloc_pages(dev, size, dir, gfp)
    return (NULL if page is None else page), dma


@api(since="5.10")
def dma_free_pages(k: Kernel, dev: device, size: int, page: Page, dma_handle: int, dir: int) -> None:
    """Give back what ``dma_alloc_pages()`` gave."""
    k.dma.memory.free_pages(dev, size, page, dma_handle, dir)


@api(since="2.6.19", sleeps=Sleeps.GFP, undo="dma_free_noncoherent", fails=True, sleeper="dma-alloc-atomic")
def dma_alloc_noncoherent(k: Kernel, dev: device, size: int, dir: int, gfp: int) -> tuple[Ptr, int]:
    """``dma_alloc_pages()`` by the kernel's address of the first byte."""
    page, dma = k.dma.memory.alloc_pages(dev, size, dir, gfp)
    return (NULL if page is None else k.page_alloc.highmem.page_address(page)), dma


@api(since="2.6.19")
def dma_free_noncoherent(k: Kernel, dev: device, size: int, vaddr: int, dma_handle: int, dir: int) -> None:
    """Give back what ``dma_alloc_noncoherent()`` gave."""
    k.dma.memory.free_pages(dev, size, virt_to_page(k, vaddr), dma_handle, dir)


@api(since="2.6.21", sleeps=Sleeps.GFP, undo="dmam_free_coherent", fails=True, sleeper="dma-alloc-atomic")
def dmam_alloc_coherent(k: Kernel, dev: device, size: int, gfp: int) -> tuple[Ptr, int]:
    """``dma_alloc_coherent()`` of memory that goes when the driver does."""
    return k.dma.memory.alloc_managed(dev, size, gfp, DMA_ATTR_NO_WARN if gfp & GFP_NOWARN else 0)


@api(since="4.18", sleeps=Sleeps.GFP, undo="dmam_free_coherent", fails=True, sleeper="dma-alloc-atomic")
def dmam_alloc_attrs(k: Kernel, dev: device, size: int, gfp: int, attrs: int) -> tuple[Ptr, int]:
    """``dmam_alloc_coherent()`` with attributes."""
    return k.dma.memory.alloc_managed(dev, size, gfp, attrs)


@api(since="2.6.21")
def dmam_free_coherent(k: Kernel, dev: device, size: int, vaddr: int, dma_handle: int) -> None:
    """Give back early what ``dmam_alloc_coherent()`` gave."""
    k.dma.memory.free_managed(dev, size, _p(vaddr), dma_handle)


# -- streaming mappings ---------------------------------------------------------------------------------------------


@api(since="2.5.40", undo="dma_unmap_single", fails=True)
def dma_map_single(k: Kernel, dev: device, ptr: int, size: int, dir: int) -> int:
    """Hand ``size`` bytes at ``ptr``, of the direct map, to the device: their handle.

    Ask ``dma_mapping_error()`` whether it is one. The bytes are the device's until they are unmapped, or synced.
    """
    return k.dma.map_single(dev, _p(ptr), size, dir, 0)


@api(since="3.4", undo="dma_unmap_single_attrs", fails=True)
def dma_map_single_attrs(k: Kernel, dev: device, ptr: int, size: int, dir: int, attrs: int) -> int:
    """``dma_map_single()`` with attributes."""
    return k.dma.map_single(dev, _p(ptr), size, dir, attrs)


@api(since="2.5.40")
def dma_unmap_single(k: Kernel, dev: device, addr: int, size: int, dir: int) -> None:
    """Take back what ``dma_map_single()`` mapped, with the same device, size and direction."""
    k.dma.unmap_page(dev, addr, size, dir, 0)


@api(since="3.4")
def dma_unmap_single_attrs(k: Kernel, dev: device, addr: int, size: int, dir: int, attrs: int) -> None:
    """``dma_unmap_single()`` with attributes."""
    k.dma.unmap_page(dev, addr, size, dir, attrs)


@api(since="2.5.40", undo="dma_unmap_page", fails=True)
def dma_map_page(k: Kernel, dev: device, page: Page, offset: int, size: int, dir: int) -> int:
    """``dma_map_single()`` of ``size`` bytes from ``offset`` of a page, which may be highmem."""
    return k.dma.map_page(dev, page, offset, size, dir, 0)


@api(since="4.8", undo="dma_unmap_page_attrs", fails=True)
def dma_map_page_attrs(k: Kernel, dev: device, page: Page, offset: int, size: int, dir: int, attrs: int) -> int:
    """``dma_map_page()`` with attributes."""
    return k.dma.map_page(dev, page, offset, size, dir, attrs)


@api(since="2.5.40")
def dma_unmap_page(k: Kernel, dev: device, addr: int, size: int, dir: int) -> None:
    """Take back what ``dma_map_page()`` mapped."""
    k.dma.unmap_page(dev, addr, size, dir, 0)


@api(since="4.8")
def dma_unmap_page_attrs(k: Kernel, dev: device, addr: int, size: int, dir: int, attrs: int) -> None:
    """``dma_unmap_page()`` with attributes."""
    k.dma.unmap_page(dev, addr, size, dir, attrs)


@api(since="4.9", undo="dma_unmap_resource", fails=True)
def dma_map_resource(k: Kernel, dev: device, phys_addr: int, size: int, dir: int, attrs: int) -> int:
    """Let the device reach registers of another device at ``phys_addr``, which must not be RAM."""
    return k.dma.map_resource(dev, phys_addr, size, dir, attrs)


@api(since="4.9")
def dma_unmap_resource(k: Kernel, dev: device, addr: int, size: int, dir: int, attrs: int) -> None:
    """Take back what ``dma_map_resource()`` mapped."""
    k.dma.unmap_resource(dev, addr, size, dir, attrs)


@api(since="2.6.26")
def dma_mapping_error(k: Kernel, dev: device, dma_addr: int) -> int:
    """Whether a handle is none: 0, or -ENOMEM. To be asked of every handle."""
    return k.dma.mapping_error(dev, dma_addr)


@api(since="2.6.17")
def dma_sync_single_for_cpu(k: Kernel, dev: device, addr: int, size: int, dir: int) -> None:
    """Let the driver see, and touch, what it has mapped: the bytes are its own until the sync for the device."""
    k.dma.sync_for_cpu(dev, addr, size, dir)


@api(since="2.6.17")
def dma_sync_single_for_device(k: Kernel, dev: device, addr: int, size: int, dir: int) -> None:
    """Let the device see what the driver wrote: the bytes are the device's again."""
    k.dma.sync_for_device(dev, addr, size, dir)


@api(since="2.6.17")
def dma_sync_single_range_for_cpu(k: Kernel, dev: device, addr: int, offset: int, size: int, dir: int) -> None:
    """``dma_sync_single_for_cpu()`` of a part of a mapping."""
    k.dma.sync_for_cpu(dev, addr + offset, size, dir)


@api(since="2.6.17")
def dma_sync_single_range_for_device(k: Kernel, dev: device, addr: int, offset: int, size: int, dir: int) -> None:
    """``dma_sync_single_for_device()`` of a part of a mapping."""
    k.dma.sync_for_device(dev, addr + offset, size, dir)


# -- scatterlists ---------------------------------------------------------------------------------------------------


@api(since="2.5.40", undo="dma_unmap_sg", fails=True)
def dma_map_sg(k: Kernel, dev: device, sg: Sgl, nents: int, dir: int) -> int:
    """Map the first ``nents`` entries of a list: how many segments the device has to take, 0 where that failed.

    An IOMMU may make one segment of several entries. ``sg_dma_address()`` and ``sg_dma_len()`` have the segments.
    """
    return max(k.dma.sg.map(dev, sg, nents, dir, 0), 0)


@api(since="3.4", undo="dma_unmap_sg_attrs", fails=True)
def dma_map_sg_attrs(k: Kernel, dev: device, sg: Sgl, nents: int, dir: int, attrs: int) -> int:
    """``dma_map_sg()`` with attributes."""
    return max(k.dma.sg.map(dev, sg, nents, dir, attrs), 0)


@api(since="2.5.40")
def dma_unmap_sg(k: Kernel, dev: device, sg: Sgl, nents: int, dir: int) -> None:
    """Take back a list, with the number of entries that it was mapped with, not the one that came back."""
    k.dma.sg.unmap(dev, sg, nents, dir, 0)


@api(since="3.4")
def dma_unmap_sg_attrs(k: Kernel, dev: device, sg: Sgl, nents: int, dir: int, attrs: int) -> None:
    """``dma_unmap_sg()`` with attributes."""
    k.dma.sg.unmap(dev, sg, nents, dir, attrs)


@api(since="5.8", undo="dma_unmap_sgtable", fails=True)
def dma_map_sgtable(k: Kernel, dev: device, sgt: sg_table, dir: int, attrs: int) -> int:
    """Map a table: 0, or -errno; ``sgt.nents`` says how many segments the device has to take."""
    if sgt.sgl is None:
        k.kasan.page_fault(0, write=False, origin=None, by="dma_map_sgtable", n=8)
    nents = k.dma.sg.map(dev, sgt.sgl, sgt.orig_nents, dir, attrs)
    if nents < 0:
        return nents
    sgt.nents = nents
    return 0


@api(since="5.8")
def dma_unmap_sgtable(k: Kernel, dev: device, sgt: sg_table, dir: int, attrs: int) -> None:
    """Take back a table."""
    k.dma.sg.unmap(dev, _list_of(sgt), sgt.orig_nents, dir, attrs)


@api(since="2.6.17")
def dma_sync_sg_for_cpu(k: Kernel, dev: device, sg: Sgl, nelems: int, dir: int) -> None:
    """``dma_sync_single_for_cpu()`` of a list, with the number of entries that it was mapped with."""
    k.dma.sg.sync(dev, sg, nelems, dir, to_cpu=True)


@api(since="2.6.17")
def dma_sync_sg_for_device(k: Kernel, dev: device, sg: Sgl, nelems: int, dir: int) -> None:
    """``dma_sync_single_for_device()`` of a list."""
    k.dma.sg.sync(dev, sg, nelems, dir, to_cpu=False)


@api(since="5.8")
def dma_sync_sgtable_for_cpu(k: Kernel, dev: device, sgt: sg_table, dir: int) -> None:
    """``dma_sync_sg_for_cpu()`` of a table."""
    k.dma.sg.sync(dev, _list_of(sgt), sgt.orig_nents, dir, to_cpu=True)


@api(since="5.8")
def dma_sync_sgtable_for_device(k: Kernel, dev: device, sgt: sg_table, dir: int) -> None:
    """``dma_sync_sg_for_device()`` of a table."""
    k.dma.sg.sync(dev, _list_of(sgt), sgt.orig_nents, dir, to_cpu=False)


@api(since="3.7", sleeps=Sleeps.ALWAYS, undo="sg_free_table", fails=True)
def dma_get_sgtable(k: Kernel, dev: device, sgt: sg_table, cpu_addr: int, dma_addr: int, size: int) -> int:
    """Make a table of coherent memory, to export it: 0, or -errno."""
    return k.dma.memory.sgtable(dev, sgt, _p(cpu_addr), dma_addr, size)


@api(since="4.7", sleeps=Sleeps.ALWAYS, undo="sg_free_table", fails=True)
def dma_get_sgtable_attrs(
    k: Kernel, dev: device, sgt: sg_table, cpu_addr: int, dma_addr: int, size: int, attrs: int
) -> int:
    """``dma_get_sgtable()`` with attributes."""
    return k.dma.memory.sgtable(dev, sgt, _p(cpu_addr), dma_addr, size)


@api(since="2.6.11", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def dma_mmap_coherent(k: Kernel, dev: device, vma: vm_area_struct, cpu_addr: int, dma_addr: int, size: int) -> int:
    """Show coherent memory of ``size`` bytes all over an area, from page ``vm_pgoff`` on: 0, or -ENXIO where it does not fit."""
    return mmap.mmap(k, dev, vma, cpu_addr, dma_addr, size)


@api(since="3.5", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def dma_mmap_attrs(
    k: Kernel, dev: device, vma: vm_area_struct, cpu_addr: int, dma_addr: int, size: int, attrs: int
) -> int:
    """``dma_mmap_coherent()`` with attributes."""
    return mmap.mmap(k, dev, vma, cpu_addr, dma_addr, size)


@api(since="3.5", sleeps=Sleeps.ALWAYS, illegal=Where.INTERRUPT, fails=True)
def dma_mmap_wc(k: Kernel, dev: device, vma: vm_area_struct, cpu_addr: int, dma_addr: int, size: int) -> int:
    """``dma_mmap_coherent()`` for what ``dma_alloc_wc()`` gave."""
    return mmap.mmap(k, dev, vma, cpu_addr, dma_addr, size)


@api(since="5.13", sleeps=Sleeps.GFP, undo="dma_free_noncontiguous", fails=True, sleeper="dma-alloc-atomic")
def dma_alloc_noncontiguous(k: Kernel, dev: device, size: int, dir: int, gfp: int, attrs: int) -> sg_table | Ptr:
    """Allocate pages for the device that need not lie side by side, as a mapped table; NULL without."""
    sgt = k.dma.memory.alloc_noncontiguous(dev, size, dir, gfp)
    return NULL if sgt is None else sgt


@api(since="5.13")
def dma_free_noncontiguous(k: Kernel, dev: device, size: int, sgt: sg_table, dir: int) -> None:
    """Give back what ``dma_alloc_noncontiguous()`` gave."""
    k.dma.memory.free_noncontiguous(dev, size, sgt, dir)


@api(since="5.13", undo="dma_vunmap_noncontiguous", fails=True)
def dma_vmap_noncontiguous(k: Kernel, dev: device, size: int, sgt: sg_table) -> Ptr:
    """The kernel's address of what ``dma_alloc_noncontiguous()`` gave."""
    return _sg.virtual(k, _sg.first_of(_list_of(sgt)))


@api(since="5.13")
def dma_vunmap_noncontiguous(k: Kernel, dev: device, vaddr: int) -> None:
    """Undo ``dma_vmap_noncontiguous()``: the pages stay where they are."""


def _list_of(sgt: sg_table) -> scatterlist:
    if sgt.sgl is None:
        current.get().kasan.page_fault(0, write=False, origin=None, by="sg_next", n=8)
    return sgt.sgl


# -- what the device can do -----------------------------------------------------------------------------------------


@api(since="2.5.64")
def dma_set_mask(k: Kernel, dev: device, mask: int) -> int:
    """Say which addresses the device can reach with streaming mappings: 0, or -EIO where no memory lies there."""
    return _masks.set_mask(k, dev, mask)


@api(since="2.6.34")
def dma_set_coherent_mask(k: Kernel, dev: device, mask: int) -> int:
    """Say where coherent memory may lie: 0, or -EIO."""
    return _masks.set_coherent_mask(k, dev, mask)


@api(since="3.13")
def dma_set_mask_and_coherent(k: Kernel, dev: device, mask: int) -> int:
    """``dma_set_mask()``, and where that went well ``dma_set_coherent_mask()``: 0, or -EIO."""
    return _masks.set_mask(k, dev, mask) or _masks.set_coherent_mask(k, dev, mask)


@api(since="3.13")
def dma_coerce_mask_and_coherent(k: Kernel, dev: device, mask: int) -> int:
    """``dma_set_mask_and_coherent()`` of a device whose bus gave it no mask."""
    dev.dma_mask = dev.coherent_dma_mask
    return _masks.set_mask(k, dev, mask) or _masks.set_coherent_mask(k, dev, mask)


@api(since="2.6.26")
def dma_get_mask(k: Kernel, dev: device) -> int:
    """The streaming mask; 32 bits where the device has none."""
    return dev.dma_mask or SZ_4G_MASK


@api(since="2.6.26")
def dma_get_required_mask(k: Kernel, dev: device) -> int:
    """The mask that reaches all of memory."""
    return k.dma.ops.required_mask()


@api(since="5.12")
def dma_addressing_limited(k: Kernel, dev: device) -> bool:
    """Whether some memory lies where the device can't reach."""
    return _masks.limited(k, dev)


@api(since="5.1")
def dma_max_mapping_size(k: Kernel, dev: device) -> int:
    """Bytes that one mapping may have; SIZE_MAX without a limit."""
    return k.dma.ops.max_mapping_size(dev)


@api(since="6.0")
def dma_opt_mapping_size(k: Kernel, dev: device) -> int:
    """Bytes up to which a mapping is cheap."""
    return k.dma.ops.max_mapping_size(dev)


@api(since="5.1")
def dma_need_sync(k: Kernel, dev: device, dma_addr: int) -> bool:
    """Whether syncs of this mapping do anything."""
    return _masks.need_sync(k, dev, dma_addr)


@api(since="5.4")
def dma_can_mmap(k: Kernel, dev: device) -> bool:
    """Whether coherent memory can be mapped into a process."""
    return True


@api(since="5.5")
def dma_get_merge_boundary(k: Kernel, dev: device) -> int:
    """What an address must be a multiple of, less one, for segments to be merged; 0 where they are not."""
    return 4095 if k.dma.ops.merges else 0


@api(since="2.6.25")
def dma_get_max_seg_size(k: Kernel, dev: device) -> int:
    """Bytes that one segment may have: 64 KiB unless the driver said otherwise."""
    return _masks.sizes(dev)[0]


@api(since="2.6.25")
def dma_set_max_seg_size(k: Kernel, dev: device, size: int) -> int:
    """Say how long a segment may be: 0, or -EIO for a device that has no place for it."""
    if dev.dma_parms is None:
        return -errno.EIO
    dev.dma_parms.max_segment_size = size
    return 0


@api(since="2.6.25")
def dma_get_seg_boundary(k: Kernel, dev: device) -> int:
    """The mask of the boundary that no segment may cross; all ones for none."""
    return _masks.sizes(dev)[1]


@api(since="2.6.25")
def dma_set_seg_boundary(k: Kernel, dev: device, mask: int) -> int:
    """Say which boundary segments must not cross: 0, or -EIO."""
    if dev.dma_parms is None:
        return -errno.EIO
    dev.dma_parms.segment_boundary_mask = mask
    return 0


@api(since="5.8")
def dma_get_seg_boundary_nr_pages(k: Kernel, dev: device, page_shift: int) -> int:
    """How many pages lie between two boundaries."""
    return (_masks.sizes(dev)[1] >> page_shift) + 1


@api(since="5.13")
def dma_get_min_align_mask(k: Kernel, dev: device) -> int:
    """Bits of an address that a mapping has to keep."""
    return dev.dma_parms.min_align_mask if dev.dma_parms is not None else 0


@api(since="5.13")
def dma_set_min_align_mask(k: Kernel, dev: device, min_align_mask: int) -> int:
    """Say which bits of an address a mapping has to keep: 0, or -EIO."""
    if dev.dma_parms is None:
        return -errno.EIO
    dev.dma_parms.min_align_mask = min_align_mask
    return 0


@api(since="2.5.40")
def dma_get_cache_alignment(k: Kernel) -> int:
    """What buffers must be aligned to so as not to share a cacheline: 1 where caches see what devices do."""
    return 1 if k.config.dma_coherent else CACHELINE


__getattr__ = header_getattr(__name__)
__all__ = [
    "DMA_ATTR_ALLOC_SINGLE_PAGES",
    "DMA_ATTR_FORCE_CONTIGUOUS",
    "DMA_ATTR_NO_KERNEL_MAPPING",
    "DMA_ATTR_NO_WARN",
    "DMA_ATTR_PRIVILEGED",
    "DMA_ATTR_SKIP_CPU_SYNC",
    "DMA_ATTR_WEAK_ORDERING",
    "DMA_ATTR_WRITE_COMBINE",
    "DMA_BIDIRECTIONAL",
    "DMA_BIT_MASK",
    "DMA_FROM_DEVICE",
    "DMA_MAPPING_ERROR",
    "DMA_NONE",
    "DMA_TO_DEVICE",
    "device",
    "dma_addressing_limited",
    "dma_alloc_attrs",
    "dma_alloc_coherent",
    "dma_alloc_noncoherent",
    "dma_alloc_noncontiguous",
    "dma_alloc_pages",
    "dma_alloc_wc",
    "dma_can_mmap",
    "dma_coerce_mask_and_coherent",
    "dma_free_attrs",
    "dma_free_coherent",
    "dma_free_noncoherent",
    "dma_free_noncontiguous",
    "dma_free_pages",
    "dma_free_wc",
    "dma_get_cache_alignment",
    "dma_get_mask",
    "dma_get_max_seg_size",
    "dma_get_merge_boundary",
    "dma_get_min_align_mask",
    "dma_get_required_mask",
    "dma_get_seg_boundary",
    "dma_get_seg_boundary_nr_pages",
    "dma_get_sgtable",
    "dma_get_sgtable_attrs",
    "dma_map_page",
    "dma_map_page_attrs",
    "dma_map_resource",
    "dma_map_sg",
    "dma_map_sg_attrs",
    "dma_map_sgtable",
    "dma_map_single",
    "dma_map_single_attrs",
    "dma_mapping_error",
    "dma_max_mapping_size",
    "dma_mmap_attrs",
    "dma_mmap_coherent",
    "dma_mmap_wc",
    "dma_need_sync",
    "dma_opt_mapping_size",
    "dma_set_coherent_mask",
    "dma_set_mask",
    "dma_set_mask_and_coherent",
    "dma_set_max_seg_size",
    "dma_set_min_align_mask",
    "dma_set_seg_boundary",
    "dma_sync_sg_for_cpu",
    "dma_sync_sg_for_device",
    "dma_sync_sgtable_for_cpu",
    "dma_sync_sgtable_for_device",
    "dma_sync_single_for_cpu",
    "dma_sync_single_for_device",
    "dma_sync_single_range_for_cpu",
    "dma_sync_single_range_for_device",
    "dma_unmap_page",
    "dma_unmap_page_attrs",
    "dma_unmap_resource",
    "dma_unmap_sg",
    "dma_unmap_sg_attrs",
    "dma_unmap_sgtable",
    "dma_unmap_single",
    "dma_unmap_single_attrs",
    "dma_vmap_noncontiguous",
    "dma_vunmap_noncontiguous",
    "dmam_alloc_attrs",
    "dmam_alloc_coherent",
    "dmam_free_coherent",
    "scatterlist",
    "sg_table",
    "valid_dma_direction",
]
