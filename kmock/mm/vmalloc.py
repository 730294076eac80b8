"""Virtually contiguous memory (``mm/vmalloc.c``).

An area is single pages mapped side by side, with an unmapped guard page behind. A freed area loses its pages at
once and keeps its addresses for a while, as Linux unmaps lazily: a stale pointer into it stays recognisable.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from sortedcontainers import SortedDict

from kmock.lang.ptr import NULL, Ptr, make_ptr
from kmock.mm import vfree_misuse
from kmock.mm.gfp import __GFP_COMP as GFP_COMP
from kmock.mm.gfp import __GFP_DMA as GFP_DMA
from kmock.mm.gfp import __GFP_DMA32 as GFP_DMA32
from kmock.mm.gfp import __GFP_HIGHMEM as GFP_HIGHMEM
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.pgprot import PAGE_KERNEL
from kmock.mm.show_mem import warn_alloc
from kmock.mm.vm_area import VM_ALLOC, VM_IOREMAP, AreaPages, VmArea
from kmock.mm.vm_struct import VmStructs
from kmock.mm.vmap import Vmaps
from kmock.mm.vmap_block import VmapBlocks
from kmock.mm.vmap_space import FreeSpace
from kmock.sanitizers.object import UNWRITTEN, FailedAllocation
from kmock.stack import capture

if TYPE_CHECKING:
    from kmock.machine import Kernel
    from kmock.mm.page import Page

PAGE_SIZE: Final = 4096
SIZEOF_VM_STRUCT: Final = 72
GFP_RECLAIM_MASK: Final = 0x080B_EEE0
"""Flags that an area's descriptor is allocated with (``mm/internal.h``)."""
IOREMAP_MAX_ORDER: Final = 30
"""x86-64 aligns large ioremap areas up to this for the sake of huge pages."""
_IN_INTERRUPT: Final = 0xFFFF00


class Lazy(NamedTuple):
    """Addresses that wait for the next purge, with the records of what they were."""

    start: int
    span: int
    areas: tuple[VmArea, ...]


class Vmalloc:
    """The vmalloc address space of one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        layout = kernel.layout
        # The topmost sixteenth is for the tasks' stacks, which have their places from the end downwards.
        top = layout.vmalloc_end - (layout.vmalloc_end - layout.vmalloc_start >> 4)
        self.space = FreeSpace(layout.vmalloc_start, top)
        self.areas: SortedDict = SortedDict()
        """Every area, living or not yet purged, by its first address."""
        self.maps = Vmaps(kernel)
        self._lazy: list[Lazy] = []
        self._lazy_pages = 0

    @functools.cached_property
    def blocks(self) -> VmapBlocks:
        """vm_map_ram() and its kin."""
        return VmapBlocks(self.kernel)

    @functools.cached_property
    def structs(self) -> VmStructs:
        """Areas as drivers see them."""
        return VmStructs(self.kernel)

    # -- looking up -------------------------------------------------------------------------------

    def probe(self, address: int) -> VmArea | None:
        """Return the area, living or freed, that ``address`` lies in, its guard page included."""
        index = self.areas.bisect_right(address) - 1
        if index < 0:
            return None
        found: VmArea = self.areas.peekitem(index)[1]
        return found if address < found.top else None

    def living(self) -> list[VmArea]:
        """Every living area, by address."""
        return [area for area in self.areas.values() if area.live]

    def to_page(self, address: int) -> Page | None:
        """``vmalloc_to_page()``: the page behind ``address``; None where nothing is mapped."""
        k = self.kernel
        layout = k.layout
        if k.config.debug_vm and not (layout.is_vmalloc(address) or layout.modules <= address < layout.modules_end):
            k.bug("virt-to-page-bad", "mm/vmalloc.c:745")
        phys = k.mmu.translate(address)
        return k.memmap.page(phys >> 12) if phys is not None else None

    # -- address space ----------------------------------------------------------------------------

    def reserve(self, size: int, align: int = PAGE_SIZE, start: int = 0, end: int = 0) -> int:
        """``alloc_vmap_area()``: take ``size`` bytes of address space; 0, and a word in the log, without."""
        found = self.space.take(size, align, start, end)
        if not found and self._lazy:
            self.purge()
            found = self.space.take(size, align, start, end)
        if not found:
            text = f"vmap allocation for size {size} failed: use vmalloc=<size> to increase size"
            self.kernel.log.write(text)
        return found

    def get_area(
        self,
        size: int,
        flags: int,
        call: str,
        *,
        gfp: int = GFP_KERNEL,
        align: int = 1,
        start: int = 0,
        end: int = 0,
    ) -> VmArea | None:
        """``__get_vm_area_node()``: reserve whole pages for ``size`` bytes, with nothing mapped; None if it fails."""
        k = self.kernel
        if k.cpu.preempt_count & _IN_INTERRUPT:
            k.bug("vmalloc-atomic", "mm/vmalloc.c:2554")
        pages = size + PAGE_SIZE - 1 & -PAGE_SIZE
        if not pages:
            return None
        if flags & VM_IOREMAP:
            align = 1 << min(max((pages - 1).bit_length(), 12), IOREMAP_MAX_ORDER)
        k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274", "vmalloc-atomic")
        # The kernel's own books of an area are an object of a slab cache.
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_VM_STRUCT, gfp & GFP_RECLAIM_MASK):
            return None
        area = self.record(size, flags, call)
        area.span = pages + area.guard
        area.addr = self.reserve(area.span, max(align, PAGE_SIZE), start, end)
        if not area.addr:
            return None
        self.areas[area.addr] = area
        return area

    def place(self, area: VmArea) -> None:
        """Give an area that maps no memory of its own its addresses; they may not be had in an interrupt."""
        if self.kernel.cpu.preempt_count & _IN_INTERRUPT:
            self.kernel.bug("ioremap-atomic", "mm/vmalloc.c:2554")
        area.addr = self.reserve(area.span)
        self.areas[area.addr] = area

    def record(self, size: int, flags: int, call: str) -> VmArea:
        """Make the record of an area that has no address yet."""
        k = self.kernel
        area = VmArea()
        area.flags = flags
        area.call = call
        area.size = size
        area.span = size
        area.pages = []
        area.prot = area.phys_addr = area.scan = 0
        area.array = area.struct = NULL
        area.gone = False
        area.phys = -1
        area.live = True
        area.written = None
        area.alloc_stack = capture(4)
        area.free_stack = None
        area.free_task = None
        area.task = k.current
        area.cpu = k.cpu
        area.time = k.clock.now
        k.seq = area.seq = k.seq + 1
        return area

    # -- allocating -------------------------------------------------------------------------------

    def alloc(
        self,
        size: int,
        gfp: int = GFP_KERNEL,
        node: int = -1,
        *,
        call: str = "vmalloc",
        flags: int = 0,
        prot: int = PAGE_KERNEL,
        align: int = 1,
        start: int = 0,
        end: int = 0,
    ) -> Ptr:
        """``__vmalloc_node_range()``: map ``size`` bytes of fresh pages; NULL where that can't be."""
        k = self.kernel
        if not size:
            k.warn("vmalloc-zero-size", "mm/vmalloc.c:3227", "__vmalloc_node_range")
            return self.failed(call, size)
        if size >> 12 > sum(zone.managed_pages for zone in k.page_alloc.zones.all):
            warn_alloc(k, gfp, f"vmalloc error: size {size}, exceeds total pages")
            return self.failed(call, size)
        area = self.get_area(size, VM_ALLOC | flags, call, gfp=gfp, align=align, start=start, end=end)
        if area is None:
            warn_alloc(k, gfp, f"vmalloc error: size {size}, vm_struct allocation failed")
            return self.failed(call, size)
        # From here on 6.1 says nothing: it has added __GFP_NOWARN for the pages, and asks that flag.
        if not self._populate(area, gfp, node):
            self.retire(area)
            self.unmap(area)
            return self.failed(call, size)
        area.written = None if gfp & GFP_ZERO or not k.config.initmem else UNWRITTEN
        self.maps.map_pages(area.addr, area.pages, prot)
        area.prot = prot
        return make_ptr(area.addr, area)

    def _populate(self, area: VmArea, gfp: int, node: int) -> bool:
        k = self.kernel
        gfp = (gfp | GFP_NOWARN) & ~GFP_COMP
        if not gfp & (GFP_DMA | GFP_DMA32):
            gfp |= GFP_HIGHMEM
        nid = None if node < 0 else node
        owner = AreaPages(area)
        pages = area.pages
        for _ in range(area.usable >> 12):
            page = k.page_alloc.alloc_pages(gfp, 0, nid, owner=owner)
            if page is None:
                return False
            pages.append(page)
        return True

    def failed(self, call: str, size: int) -> Ptr:
        """Return the NULL of a failed call."""
        return make_ptr(0, FailedAllocation(call, size, capture(3)))

    # -- freeing ----------------------------------------------------------------------------------

    def free(self, ptr: Ptr, by: str = "vfree") -> None:
        """``vfree()``; NULL is nothing to do. In an interrupt the record ends now, the mapping a little later."""
        k = self.kernel
        count = k.cpu.preempt_count
        vfree_misuse.check_context(k, by)
        if not count & _IN_INTERRUPT and (count or k.cpu.irqs_off or k.current.rcu_depth or k.current.non_block):
            k.atomic_sleep.might_sleep("mm/vmalloc.c:2858", "vfree-atomic")
        if int(ptr):
            self._free(ptr, by, later=bool(count & _IN_INTERRUPT))

    def free_atomic(self, ptr: Ptr) -> None:
        """``vfree_atomic()``: leave the unmapping to a work item."""
        k = self.kernel
        vfree_misuse.check_context(k, "vfree_atomic")
        if int(ptr):
            self._free(ptr, "vfree_atomic", later=True)

    def _free(self, ptr: Ptr, by: str, *, later: bool) -> None:
        area = vfree_misuse.area_to_free(self.kernel, ptr, by)
        if area is None:
            return
        vfree_misuse.check_free(self.kernel, ptr, area, by)
        self.retire(area)
        if later:
            self._defer(area)
        else:
            self.unmap(area)

    def _defer(self, area: VmArea) -> None:
        """Leave the unmapping to a work item."""
        k = self.kernel
        k.sched.timeouts.arm(k.clock.now, lambda: self.unmap(area))

    def vunmap(self, ptr: Ptr) -> None:
        """``vunmap()``: take the mapping away and leave the pages alone; NULL is nothing to do."""
        k = self.kernel
        if k.cpu.preempt_count & _IN_INTERRUPT:
            k.bug("vfree-atomic", "mm/vmalloc.c:2878")
        k.atomic_sleep.might_sleep("mm/vmalloc.c:2879", "vfree-atomic")
        area = vfree_misuse.area_to_free(k, ptr, "vunmap") if int(ptr) else None
        if area is not None:
            vfree_misuse.check_free(k, ptr, area, "vunmap")
            self.retire(area)
            self.unmap(area, pages=False)

    def remove(self, area: VmArea) -> None:
        """Take an area apart: pages back, addresses set aside."""
        self.retire(area)
        self.unmap(area)

    def retire(self, area: VmArea) -> None:
        """Note that an area is freed now, by the running task."""
        area.live = False
        area.free_stack = capture(4)
        area.free_task = self.kernel.current

    def unmap(self, area: VmArea, *, pages: bool = True) -> None:
        """Unmap an area and set its addresses aside; with ``pages`` give back those that are its own."""
        k = self.kernel
        area.gone = True
        self.maps.unmap_range(area.addr, area.span)
        self.maps.forget(area)
        if pages:
            self._drop_pages(area)
        if area.struct:
            k.slab.kfree(area.struct)
            area.struct = NULL
        self.set_aside(area.addr, area.span, area)

    def _drop_pages(self, area: VmArea) -> None:
        k = self.kernel
        if area in self.maps.given:
            self.maps.put_pages(area)
        for page in area.pages if area.flags & VM_ALLOC else ():
            if k.mem.origins:
                k.mem.forget_origins(page.phys, PAGE_SIZE)
            k.page_alloc.drop(page, 0)

    # -- lazily -----------------------------------------------------------------------------------

    def set_aside(self, start: int, span: int, *areas: VmArea) -> None:
        """``free_vmap_area_noflush()``: keep addresses until the next purge."""
        self._lazy.append(Lazy(start, span, areas))
        self._lazy_pages += span >> 12
        # lazy_max_pages(): 32 MiB for each doubling of the CPUs.
        if self._lazy_pages > self.kernel.config.cpus.bit_length() * (32 << 20 >> 12):
            self.purge()

    def purge(self) -> None:
        """Make the addresses of freed areas available again (``__purge_vmap_area_lazy()``)."""
        lazy, self._lazy, self._lazy_pages = self._lazy, [], 0
        for start, span, areas in lazy:
            for area in areas:
                del self.areas[area.addr]
            self.space.give(start, span)

    def unpurged(self) -> list[Lazy]:
        """What waits for the next purge, oldest first."""
        return self._lazy

    def unmap_aliases(self) -> None:
        """``vm_unmap_aliases()``: flush every mapping that was undone lazily."""
        k = self.kernel
        k.atomic_sleep.might_sleep("mm/vmalloc.c:2214", "vfree-atomic")
        self.blocks.purge_fragmented()
        self.purge()
