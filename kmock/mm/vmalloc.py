"""Virtually contiguous memory (``mm/vmalloc.c``).

An area is single pages mapped side by side, with an unmapped guard page behind. A freed area loses its pages at
once and keeps its addresses for a while, as Linux unmaps lazily: a stale pointer into it stays recognisable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from sortedcontainers import SortedDict

from kmock.lang.ptr import Ptr, make_ptr
from kmock.mm.gfp import __GFP_COMP as GFP_COMP
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.show_mem import warn_alloc
from kmock.sanitizers.describe import origin_stacks
from kmock.sanitizers.object import UNWRITTEN, Allocation, FailedAllocation
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.mm.page import Page

PAGE_SIZE: Final = 4096
SIZEOF_VM_STRUCT: Final = 72
GFP_RECLAIM_MASK: Final = 0x080B_EEE0
"""Flags that an area's descriptor is allocated with (``mm/internal.h``)."""
_IN_INTERRUPT: Final = 0xFFFF00
_IN_NMI: Final = 0xF00000


class VmArea(Allocation):
    """One area, from its allocation until its addresses are used again."""

    __slots__ = ("call", "pages")
    area = "vmalloc"
    not_vfreed: ClassVar[str] = "kvfree-mismatch"
    """Kind of report for giving it to vfree() where another call takes it back."""
    call: str
    """The public call that made it."""
    pages: list[Page]

    @property
    def what(self) -> str:
        """Say which call made it."""
        return f"a {len(self.pages)}-page area of {self.call}()"

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        return "kvfree" if self.call == "kvmalloc" else "vfree"

    @property
    def usable(self) -> int:
        """All bytes of its pages."""
        return -(-self.size // PAGE_SIZE) * PAGE_SIZE

    @property
    def top(self) -> int:
        """Address behind the guard page."""
        return self.addr + self.usable + PAGE_SIZE


class AreaPages:
    """Owner of an area's pages: seen through the direct map they belong to nobody in particular."""

    __slots__ = ()

    def probe(self, address: int) -> Allocation | None:
        """Return None: the record of the area is found by its own addresses."""
        return None

    def live(self) -> Iterator[Allocation]:
        """Nothing of its own lives here."""
        return iter(())


class Vmalloc:
    """The vmalloc address space of one kernel."""

    __slots__ = ("_areas", "_holes", "_lazy", "_lazy_pages", "_owner", "_top", "kernel")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._areas: SortedDict = SortedDict()
        """Every area, living or not yet purged, by its first address."""
        self._top = kernel.layout.vmalloc_start
        self._holes: SortedDict = SortedDict()
        """Sizes of purged ranges below ``_top``, by address."""
        self._lazy: list[VmArea] = []
        self._lazy_pages = 0
        self._owner = AreaPages()

    # -- looking up -------------------------------------------------------------------------------

    def probe(self, address: int) -> Allocation | None:
        """Return the area, living or freed, that ``address`` lies in, its guard page included."""
        index = self._areas.bisect_right(address) - 1
        if index < 0:
            return None
        found: VmArea = self._areas.peekitem(index)[1]
        return found if address < found.top else None

    def living(self) -> list[VmArea]:
        """Every living area, by address."""
        return [area for area in self._areas.values() if area.live]

    def to_page(self, address: int) -> Page | None:
        """``vmalloc_to_page()``: the page behind ``address``; None where nothing is mapped."""
        phys = self.kernel.mmu.translate(address)
        return self.kernel.memmap.page(phys >> 12) if phys is not None else None

    # -- allocating -------------------------------------------------------------------------------

    def alloc(self, size: int, gfp: int = GFP_KERNEL, node: int = -1, *, call: str = "vmalloc") -> Ptr:
        """Map ``size`` bytes of fresh pages; NULL where that can't be."""
        k = self.kernel
        if not size:
            k.warn("vmalloc-zero-size", "mm/vmalloc.c:3227", "__vmalloc_node_range")
            return self._failed(call, size)
        if size >> 12 > sum(zone.managed_pages for zone in k.page_alloc.zones.all):
            self._said(gfp, f"vmalloc error: size {size}, exceeds total pages")
            return self._failed(call, size)
        if k.cpu.preempt_count & _IN_INTERRUPT:
            k.bug("vmalloc-atomic", "mm/vmalloc.c:2554")
        if k.cpu.preempt_count or k.cpu.irqs_off or k.current.rcu_depth or k.current.non_block:
            k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274", "vmalloc-atomic")
        # The kernel's own books of an area are an object of a slab cache.
        if k.faults.active and k.faults.should_fail_kmalloc(SIZEOF_VM_STRUCT, gfp & GFP_RECLAIM_MASK):
            self._said(gfp, f"vmalloc error: size {size}, vm_struct allocation failed")
            return self._failed(call, size)
        pages = self._pages(-(-size // PAGE_SIZE), gfp, node)
        if pages is None:
            self._said(gfp, f"vmalloc error: size {size}, page order 0, failed to allocate pages")
            return self._failed(call, size)
        area = self._area(size, gfp, pages, call)
        self._areas[area.addr] = area
        first = area.addr >> 12
        for i, page in enumerate(pages):
            k.mmu.map(first + i, page.pfn)
        return make_ptr(area.addr, area)

    def _pages(self, n: int, gfp: int, node: int) -> list[Page] | None:
        k = self.kernel
        flags = (gfp | GFP_NOWARN) & ~GFP_COMP
        nid = None if node < 0 else node
        pages: list[Page] = []
        for _ in range(n):
            page = k.page_alloc.alloc_pages(flags, 0, nid, owner=self._owner)
            if page is None:
                for taken in pages:
                    k.page_alloc.drop(taken, 0)
                return None
            pages.append(page)
        return pages

    def _area(self, size: int, gfp: int, pages: list[Page], call: str) -> VmArea:
        k = self.kernel
        area = VmArea()
        area.pages = pages
        area.call = call
        area.addr = self._place((len(pages) + 1) * PAGE_SIZE)
        area.size = size
        area.phys = -1
        area.live = True
        area.written = None if gfp & GFP_ZERO or not k.config.initmem else UNWRITTEN
        area.alloc_stack = capture(3)
        area.free_stack = None
        area.free_task = None
        area.task = k.current
        area.cpu = k.cpu
        area.time = k.clock.now
        area.scan = 0
        k.seq = area.seq = k.seq + 1
        return area

    def _place(self, span: int) -> int:
        """Find ``span`` bytes of address space: the lowest hole that holds them, or the top."""
        for start, size in self._holes.items():
            if size >= span:
                del self._holes[start]
                if size > span:
                    self._holes[start + span] = size - span
                return int(start)
        start = self._top
        self._top += span
        return start

    def place(self, area: VmArea) -> None:
        """``get_vm_area()``: give an area that maps no memory of its own its addresses; they may not be had in an interrupt."""
        if self.kernel.cpu.preempt_count & _IN_INTERRUPT:
            self.kernel.bug("ioremap-atomic", "mm/vmalloc.c:2554")
        area.addr = self._place(area.usable + PAGE_SIZE)
        self._areas[area.addr] = area

    def _failed(self, call: str, size: int) -> Ptr:
        return make_ptr(0, FailedAllocation(call, size, capture(3)))

    def _said(self, gfp: int, text: str) -> None:
        warn_alloc(self.kernel, gfp, text)

    # -- freeing ----------------------------------------------------------------------------------

    def free(self, ptr: int, by: str = "vfree") -> None:
        """``vfree()``; NULL is nothing to do."""
        k = self.kernel
        count = k.cpu.preempt_count
        if count & _IN_NMI:
            k.bug("vfree-atomic", "mm/vmalloc.c:2854")
        if not count & _IN_INTERRUPT and (count or k.cpu.irqs_off or k.current.rcu_depth or k.current.non_block):
            k.atomic_sleep.might_sleep("mm/vmalloc.c:2858", "vfree-atomic")
        address = int(ptr)
        if not address:
            return
        area = self.probe(address)
        if address % PAGE_SIZE:
            self._bad("vfree-unaligned", "mm/vmalloc.c:2752", "Trying to vfree() bad address", ptr, area, by)
        elif not isinstance(area, VmArea) or not area.live:
            self._bad("vfree-double", "mm/vmalloc.c:2758", "Trying to vfree() nonexistent vm area", ptr, area, by)
        else:
            self._release(ptr, area, by)

    def _release(self, ptr: int, area: VmArea, by: str) -> None:
        k = self.kernel
        origin: Allocation | None = getattr(ptr, "origin", None)
        if int(ptr) != area.addr:
            headline = f"BUG: kmock: vfree-interior in {by}()"
            k.kasan.report_free("vfree-interior", "", by, int(ptr), area, headline=headline)
        elif origin is not None and origin is not area and not origin.live:
            headline = f"BUG: kmock: vfree-double in {by}()"
            k.kasan.report_free("vfree-double", "", by, int(ptr), origin, headline=headline)
        elif area.undo != by and by == "vfree":
            kind = area.not_vfreed
            k.kasan.report_free(kind, "", by, int(ptr), area, headline=f"BUG: kmock: {kind} in vfree()")
        self.remove(area)

    def remove(self, area: VmArea) -> None:
        """Take an area apart: pages back, addresses set aside."""
        k = self.kernel
        for page in area.pages:
            if k.mem.origins:
                k.mem.forget_origins(page.phys, PAGE_SIZE)
            k.page_alloc.drop(page, 0)
        self.unmap(area)

    def unmap(self, area: VmArea) -> None:
        """``remove_vm_area()``: nothing is mapped there any more; whatever was, stays."""
        k = self.kernel
        n = area.usable >> 12
        for vpn in range(area.addr >> 12, (area.addr >> 12) + n):
            k.mmu.unmap(vpn)
        area.live = False
        area.free_stack = capture(4)
        area.free_task = k.current
        self._lazy.append(area)
        self._lazy_pages += n + 1
        # lazy_max_pages(): 32 MiB for each doubling of the CPUs.
        if self._lazy_pages > k.config.cpus.bit_length() * (32 << 20 >> 12):
            self.purge()

    def purge(self) -> None:
        """Make the addresses of freed areas available again (``__purge_vmap_area_lazy()``)."""
        for area in self._lazy:
            del self._areas[area.addr]
            self._hole(area.addr, area.top)
        self._lazy = []
        self._lazy_pages = 0

    def _hole(self, start: int, end: int) -> None:
        """Add a range to the holes, merged with its neighbours."""
        index = self._holes.bisect_left(start)
        if index < len(self._holes) and self._holes.peekitem(index)[0] == end:
            end += self._holes.popitem(index)[1]
        if index:
            below, size = self._holes.peekitem(index - 1)
            if below + size == start:
                start = below
        if end == self._top:
            self._top = start
            self._holes.pop(start, None)
        else:
            self._holes[start] = end - start

    def _bad(self, kind: str, at: str, text: str, ptr: int, area: Allocation | None, by: str) -> None:
        """Report a vfree() that finds nothing to free."""
        k = self.kernel
        address = int(ptr)
        origin: Allocation | None = getattr(ptr, "origin", None)
        about = origin if origin is not None and not isinstance(origin, FailedAllocation) else area
        if about is None and not k.layout.is_vmalloc(address):
            about = k.mem.owner(address)
        hint = ""
        if isinstance(about, VmArea) and about.live and about.undo != by:
            kind = about.not_vfreed
            hint = f"this memory is given back with {about.undo}(), not {by}()"
        elif about is not None and about.area != "vmalloc":
            kind = "kvfree-mismatch" if k.slab.claims.get(about.seq) == "kvfree" else "vfree-of-kmalloc"
            hint = f"this memory is given back with {about.undo}(), not {by}()"
        if about is not None:
            k.census.told(about)
        k.warn(
            kind,
            at,
            "__vunmap",
            f"{text} ({address:016x})",
            stacks={"access": k.capture(), **(origin_stacks(about) if about is not None else {})},
            object=k.kasan.info(about, address) if about is not None else None,
            key=(about if about is not None else address, "free"),
            hint=hint,
        )
