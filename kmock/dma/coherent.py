"""Memory for processor and device at once: ``dma_alloc_attrs()`` and its kin (``kernel/dma/mapping.c``)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, NamedTuple

from kmock.current import current
from kmock.dma.scatterlist import alloc_table, assign_page, free_table, page_of, sg_table
from kmock.dma.vet import valid
from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM as GFP_DIRECT_RECLAIM
from kmock.mm.gfp import __GFP_DMA as GFP_DMA
from kmock.mm.gfp import __GFP_DMA32 as GFP_DMA32
from kmock.mm.gfp import __GFP_HIGHMEM as GFP_HIGHMEM
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.page_addr import null
from kmock.mm.physaddr import get_order
from kmock.sanitizers.dma_entries import Ref
from kmock.sanitizers.dma_entry import (
    COHERENT,
    DMA_BIDIRECTIONAL,
    DMA_MAPPING_ERROR,
    SG,
    SINGLE,
    Mapping,
    Piece,
)
from kmock.sanitizers.object import SCAN_HELD
from kmock.sanitizers.pfnmaps import COHERENT_ALLOC

if TYPE_CHECKING:
    from kmock.drivers.core import device
    from kmock.machine import Kernel
    from kmock.mm.page import Page

_ZONES: Final = GFP_DMA | GFP_DMA32 | GFP_HIGHMEM
_FILE: Final = "kernel/dma/mapping.c"
DEVRES_SIZE: Final = 40
"""sizeof(struct dma_devres)."""
# Alloc calls by what they give, so that wrong frees and leaks of the pages are told in their terms.
ALLOC_PAGES: Final = "dma_alloc_pages"


class Managed(NamedTuple):
    """``struct dma_devres``."""

    size: int
    vaddr: Ptr
    dma: int
    attrs: int


class Coherent:
    """Allocations of coherent memory, and of pages that are mapped from the start, on one machine."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    # -- coherent ---------------------------------------------------------------------------------

    def alloc(self, dev: device, size: int, gfp: int, attrs: int) -> tuple[Ptr, int]:
        """``dma_alloc_attrs()``: zeroed memory for both, its address for each; (NULL, DMA_MAPPING_ERROR) without."""
        k = self.kernel
        k.dma.check_device(dev, begins=True)
        if not dev.coherent_dma_mask:
            k.warn("dma-map-no-mask", f"{_FILE}:499", "dma_alloc_attrs", key=dev)
        if gfp & _ZONES:
            self._zones(gfp)
        found = self._pages(dev, size, gfp & ~_ZONES, attrs, COHERENT_ALLOC)
        if found is None:
            return null(COHERENT_ALLOC, size), DMA_MAPPING_ERROR
        page, dma = found
        m = Mapping(dev, COHERENT, dma, size, DMA_BIDIRECTIONAL, (Piece(0, page.phys, size),), attrs)
        k.dma.begin(m, -1, page.owner)
        return make_ptr(page.owner.addr, page.owner), dma

    def _zones(self, gfp: int) -> None:
        k = self.kernel
        headline = f"BUG: kmock: dma-coherent-gfp-zone in {k.symbol(k.capture())}"
        lines = [f"gfp: {k.gfp_text(gfp)}: the device's coherent mask decides the zone, not the flags"]
        k.report("dma-coherent-gfp-zone", headline, lines=lines)

    def _pages(self, dev: device, size: int, gfp: int, attrs: int, call: str) -> tuple[Page, int] | None:
        k = self.kernel
        cpu = k.cpu
        task = cpu.task
        if gfp & GFP_DIRECT_RECLAIM and (cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block):
            k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274", "dma-alloc-atomic")
        size = size + 4095 & -4096
        found = k.dma.ops.alloc(dev, size, gfp, attrs, call)
        if found is not None:
            page = found[0]
            k.ram.bytes[page.phys : page.phys + size] = bytes(size)
            page.owner.written = None
        return found

    def free(self, dev: device, size: int, cpu_addr: int, dma: int, attrs: int, unknown: str = "") -> None:
        """``dma_free_attrs()``; NULL is nothing to do, once interrupts are seen to be on.

        ``unknown`` is the kind of report for memory that is not allocated, where a special one fits.
        """
        k = self.kernel
        k.dma.check_device(dev)
        if k.cpu.irqs_off:
            k.warn("dma-free-irqs-off", f"{_FILE}:533", "dma_free_attrs")
        if not cpu_addr:
            return
        ops = k.dma.ops
        page = ops.page_of(dev, dma)
        m = None
        phys = k.mem.translate(int(cpu_addr)) if k.layout.is_vmalloc(int(cpu_addr)) or valid(k, int(cpu_addr)) else None
        if phys is not None:
            ref = Ref(dev, COHERENT, dma, size, DMA_BIDIRECTIONAL, phys=phys, attrs=attrs, unknown=unknown)
            m = k.dma.debug.check_unmap(ref)
        if m is not None:
            self._explain(m, size)
            k.dma.finish(m, DMA_BIDIRECTIONAL, attrs)
        if page is not None:
            k.page_alloc.drop(page, get_order(size))

    def _explain(self, m: Mapping, size: int) -> None:
        # What is left of it after this has been told of already.
        if m.owner is not None and (m.type != COHERENT or get_order(size) != get_order(m.size)):
            self.kernel.census.told(m.owner)

    # -- pages ------------------------------------------------------------------------------------

    def alloc_pages(self, dev: device, size: int, direction: int, gfp: int) -> tuple[Page | None, int]:
        """``dma_alloc_pages()``: pages that the device can reach and are mapped for it from the start."""
        found = self.raw_pages(dev, size, gfp)
        if found is None:
            return None, DMA_MAPPING_ERROR
        page, dma = found
        m = Mapping(dev, SINGLE, dma, size, direction, (Piece(0, page.phys, size),), 0)
        self.kernel.dma.begin(m, -1, page.owner)
        return page, dma

    def raw_pages(self, dev: device, size: int, gfp: int) -> tuple[Page, int] | None:
        """``__dma_alloc_pages()``: pages and the device's address of them, of which dma-debug knows nothing yet."""
        k = self.kernel
        k.dma.check_device(dev, begins=True)
        if not dev.coherent_dma_mask:
            k.warn("dma-map-no-mask", f"{_FILE}:551", "__dma_alloc_pages", key=dev)
            return None
        if gfp & _ZONES:
            k.warn("gfp-contradictory", f"{_FILE}:553", "__dma_alloc_pages", lines=[f"gfp: {k.gfp_text(gfp)}"], key=gfp)
            return None
        return self._pages(dev, size, gfp, 0, ALLOC_PAGES)

    def free_pages(self, dev: device, size: int, page: Page, dma: int, direction: int) -> None:
        """``dma_free_pages()``."""
        k = self.kernel
        k.dma.check_device(dev)
        m = k.dma.debug.check_unmap(Ref(dev, SINGLE, dma, size, direction))
        if m is not None:
            k.dma.finish(m, direction, 0)
        k.page_alloc.drop(page, get_order(size + 4095 & -4096))

    def sgtable(self, dev: device, table: sg_table, cpu_addr: int, dma: int, size: int) -> int:
        """``dma_get_sgtable_attrs()``: a table of the pages of coherent memory; 0 or -errno."""
        k = self.kernel
        k.dma.check_device(dev)
        page = k.dma.ops.page_of(dev, dma)
        err = alloc_table(k, table, 1, GFP_KERNEL) if page is not None else -errno.ENXIO
        if not err and table.sgl is not None and page is not None:
            assign_page(k, table.sgl, page)
            table.sgl.length = size + 4095 & -4096
        return err

    def alloc_noncontiguous(self, dev: device, size: int, direction: int, gfp: int) -> sg_table | None:
        """``dma_alloc_noncontiguous()``: here, as on every machine without a special IOMMU, one run (alloc_single_sgt())."""
        k = self.kernel
        table = sg_table()
        if alloc_table(k, table, 1, gfp) or table.sgl is None:
            return None
        found = self.raw_pages(dev, size, gfp)
        if found is None:
            free_table(k, table)
            return None
        page, dma = found
        sg = table.sgl
        assign_page(k, sg, page)
        sg.length = sg.dma_length = size + 4095 & -4096
        sg.dma_address = dma
        m = Mapping(dev, SG, dma, sg.length, direction, (Piece(0, page.phys, sg.length),), 0)
        m.nents = m.total = 1
        k.dma.begin(m, -1, page.owner)
        return table

    def free_noncontiguous(self, dev: device, size: int, table: sg_table, direction: int) -> None:
        """``dma_free_noncontiguous()``."""
        k = self.kernel
        sg = table.sgl
        if sg is None:
            k.kasan.page_fault(0, write=False, origin=None, by="dma_free_noncontiguous", n=8)
        k.dma.sg.unmap(dev, sg, table.orig_nents, direction, 0)
        k.page_alloc.drop(page_of(k, sg), get_order(size + 4095 & -4096))
        free_table(k, table)

    # -- managed ----------------------------------------------------------------------------------

    def alloc_managed(self, dev: device, size: int, gfp: int, attrs: int) -> tuple[Ptr, int]:
        """``dmam_alloc_attrs()``: memory that goes with the driver."""
        k = self.kernel
        k.dma.check_device(dev)
        node = k.devres.alloc(dmam_release, DEVRES_SIZE, gfp)
        if node is None:
            return NULL, DMA_MAPPING_ERROR
        vaddr, dma = self.alloc(dev, size, gfp, attrs)
        if not vaddr:
            k.devres.free(node)
            return vaddr, dma
        assert vaddr.origin is not None
        vaddr.origin.scan |= SCAN_HELD
        node.res = Managed(size, vaddr, dma, attrs)
        k.devres.add(dev, node)
        return vaddr, dma

    def free_managed(self, dev: device, size: int, vaddr: int, dma: int) -> None:
        """``dmam_free_coherent()``."""
        k = self.kernel
        k.dma.check_device(dev)
        if k.devres.destroy(dev, dmam_release, _matches, (size, vaddr, dma)):
            k.warn("devm-unmanaged-release", f"{_FILE}:66", "dmam_free_coherent")
        self.free(dev, size, vaddr, dma, 0)


def dmam_release(dev: device, res: Managed) -> None:
    """``dmam_release()``: the device gives the memory back."""
    k = current.get()
    k.dma.memory.free(dev, res.size, res.vaddr, res.dma, res.attrs, "devm-mixed-double-release")


def _matches(dev: device, res: Managed, wanted: tuple[int, int, int]) -> bool:
    # dmam_match()
    size, vaddr, dma = wanted
    if res.vaddr != vaddr:
        return False
    if (res.size, res.dma) != (size, dma):
        current.get().warn("free-size-mismatch", f"{_FILE}:45", "dmam_match")
    return True
