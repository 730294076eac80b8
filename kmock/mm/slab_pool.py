"""Slabs on their way between the page allocator, processors and nodes (``mm/slub.c``).

A CPU's active slab gives objects until none is free. Slabs with room wait on the CPU's own partial list and then on
their node's; a slab that is empty goes back, unless its node keeps few. Free objects are linked through themselves,
last in, first out: the link is written to RAM too, for whoever looks there.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from kmock.lang.ptr import make_ptr
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM as GFP_DIRECT_RECLAIM
from kmock.mm.gfp import __GFP_NOFAIL as GFP_NOFAIL
from kmock.mm.gfp import __GFP_NOMEMALLOC as GFP_NOMEMALLOC
from kmock.mm.gfp import __GFP_NORETRY as GFP_NORETRY
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_RECLAIM as GFP_RECLAIM
from kmock.mm.page import PG_slab
from kmock.mm.slab import CpuSlab, KmemCache, Slab, SlabObject
from kmock.mm.slab_layout import SLAB_CTOR_ATOMIC, SLAB_CTOR_CONSTRUCTOR
from kmock.sanitizers.object import UNWRITTEN
from kmock.sanitizers.slub_debug import SlubDebug
from kmock.stack import capture_ten

if TYPE_CHECKING:
    from kmock.hw.cpu import Cpu
    from kmock.machine import Kernel
    from kmock.mm.page import Page

GFP_SLAB_MASK: Final = 0x080BEEE0 | 0x300000
"""GFP_RECLAIM_MASK and GFP_CONSTRAINT_MASK: what of the caller's flags counts for a slab's pages, which others share."""
_POINTERS: Final = {64: Struct("<Q"), 32: Struct("<I")}


class SlabPool:
    """The slabs of every cache of one kernel."""

    __slots__ = ("debug", "kernel", "ram", "store_link")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ram = kernel.ram.bytes
        self.debug = SlubDebug(kernel)
        self.store_link = _POINTERS[kernel.layout.bits].pack_into

    # -- getting a slab ---------------------------------------------------------------------------

    def take_slab(self, cache: KmemCache, gfp: int, node: int, cpu: Cpu) -> Slab | None:
        """Return a slab with a free object, on ``node`` if that is not NUMA_NO_NODE (``___slab_alloc()``)."""
        nid = cpu.node if node < 0 else node
        if cache.debug:
            return self._debug_slab(cache, gfp, nid, node)
        active = cache.cpu_slabs.get(cpu.id)
        if active is None:
            active = cache.cpu_slabs[cpu.id] = CpuSlab()
        slab = active.slab
        if slab is not None:
            if node >= 0 and slab.node != node:
                self.deactivate(active)
            elif slab.free or slab.remote:
                return self._activate(active, slab)
            else:
                slab.cpu = None
                active.slab = None
        while active.partial:
            slab = active.partial.pop()
            if node < 0 or slab.node == node:
                return self._activate(active, slab)
            self._unfreeze(slab)
        found = self._take_partial(cache, nid, active) or self._new_slab(cache, gfp, nid)
        if found is None and node < 0:
            others = [n for n in cache.nodes if n != nid]
            found = next(filter(None, (self._take_partial(cache, n, active) for n in others)), None)
        return self._activate(active, found) if found is not None else None

    def _activate(self, active: CpuSlab, slab: Slab) -> Slab:
        if not slab.free:
            slab.free, slab.remote = slab.remote, slab.free
        slab.cpu = active
        active.slab = slab
        active.free = slab.free
        return slab

    def _take_partial(self, cache: KmemCache, nid: int, active: CpuSlab) -> Slab | None:
        """Take a slab from a node's partial list, and some more to the CPU's own (``get_partial_node()``)."""
        partial = cache.node(nid).partial
        if not partial:
            return None
        found, _ = partial.popitem(last=False)
        found.listed = False
        for _ in range(cache.layout.cpu_partial_slabs // 2):
            if not partial:
                break
            extra, _ = partial.popitem(last=False)
            extra.listed = False
            extra.cpu = active
            active.partial.append(extra)
        return found

    def _debug_slab(self, cache: KmemCache, gfp: int, nid: int, node: int) -> Slab | None:
        """A debugged cache's slab with a free object that passed its checks (``alloc_single_from_partial()``)."""
        partial = cache.node(nid).partial
        while partial:
            slab = next(iter(partial))
            good = self.debug.may_alloc(slab)
            if not good or len(slab.free) == 1:
                del partial[slab]
                slab.listed = False
            if good:
                return slab
        new = self._new_slab(cache, gfp, nid)
        if new is not None and new.objects > 1:
            self._list(new, first=True)
        return new

    def _new_slab(self, cache: KmemCache, gfp: int, nid: int) -> Slab | None:
        """Get pages and cut them into free objects (``allocate_slab()``)."""
        layout = cache.layout
        k = self.kernel
        flags = gfp & GFP_SLAB_MASK | cache.allocflags
        # A large order is only tried for: the smallest that holds an object is what the caller's flags are meant for.
        first = (flags | GFP_NOWARN | GFP_NORETRY) & ~GFP_NOFAIL
        if first & GFP_DIRECT_RECLAIM and layout.order > layout.min_order:
            first = (first | GFP_NOMEMALLOC) & ~GFP_RECLAIM
        slab = Slab(cache, layout.order)
        page: Page | None = k.page_alloc.alloc_pages(first, layout.order, nid, owner=slab)
        if page is None:
            slab = Slab(cache, layout.min_order)
            page = k.page_alloc.alloc_pages(flags, layout.min_order, nid, owner=slab)
        if page is None:
            return None
        page.set(PG_slab)
        slab.page = page
        slab.base = k.layout.page_offset + page.phys
        slab.first = slab.base + layout.red_left_pad
        slab.phys = page.phys + layout.red_left_pad
        slab.node = page.zone.nid if page.zone is not None else nid
        cache.slabs[slab] = None
        cache.node(slab.node).nr_slabs += 1
        self._cut(cache, slab, gfp)
        return slab

    def _cut(self, cache: KmemCache, slab: Slab, gfp: int) -> None:
        if cache.debug:
            self.debug.new_slab(slab)
        if cache.ctor is not None:
            for index in range(slab.objects):
                self._construct(cache, slab, index, gfp)
        pack = self.store_link
        ram = self.ram
        at = slab.phys + cache.layout.offset
        stride = cache.size
        following = slab.first
        for _ in range(slab.objects - 1):
            following += stride
            pack(ram, at, following)
            at += stride
        pack(ram, at, 0)
        slab.free = list(range(slab.objects - 1, -1, -1))

    def _construct(self, cache: KmemCache, slab: Slab, index: int, gfp: int) -> None:
        """Run the constructor on a place and remember what it wrote."""
        k = self.kernel
        o = SlabObject()
        o.slab = slab
        o.index = index
        o.addr = slab.address(index)
        o.phys = slab.phys + index * slab.stride
        o.size = cache.object_size
        o.live = True
        o.written = UNWRITTEN
        o.alloc_stack = capture_ten(3)
        o.free_stack = None
        o.task = k.current
        o.free_task = None
        o.cpu = k.cpu
        o.time = k.clock.now
        o.seq = k.seq
        o.scan = 0
        slab.records[index] = o
        ctor: Any = cache.ctor
        if cache.old_ctor:
            flags = SLAB_CTOR_CONSTRUCTOR if gfp & GFP_DIRECT_RECLAIM else SLAB_CTOR_CONSTRUCTOR | SLAB_CTOR_ATOMIC
            ctor(make_ptr(o.addr, o), cache, flags)
        else:
            ctor(make_ptr(o.addr, o))
        o.live = False
        slab.records[index] = None
        slab.constructed.append((o.written, self.ram[o.phys : o.phys + o.size].tobytes()))

    def discard(self, slab: Slab) -> None:
        """Give a slab's pages back."""
        cache = slab.cache
        if cache.dtor is not None:
            for index in range(slab.objects):
                cache.dtor(make_ptr(slab.address(index), None), cache, 0)
        cache.node(slab.node).nr_slabs -= 1
        del cache.slabs[slab]
        if cache.layout.typesafe:
            # Readers may still look at what they take for objects of this type.
            self.kernel.rcu.after_grace_period(lambda: self._give_pages(slab))
        else:
            self._give_pages(slab)

    def _give_pages(self, slab: Slab) -> None:
        slab.page.clear(PG_slab)
        self.kernel.page_alloc.drop(slab.page, slab.order)

    def _list(self, slab: Slab, *, first: bool) -> None:
        """Put a slab on its node's partial list."""
        partial = slab.cache.node(slab.node).partial
        partial[slab] = None
        if first:
            partial.move_to_end(slab, last=False)
        slab.listed = True

    def _unfreeze(self, slab: Slab) -> None:
        """Put a slab that a CPU held back on its node's list, or give it back if it is empty and spare."""
        slab.cpu = None
        slab.free += slab.remote
        slab.remote = []
        cache = slab.cache
        if slab.empty and len(cache.node(slab.node).partial) >= cache.layout.min_partial:
            self.discard(slab)
        elif slab.free:
            self._list(slab, first=False)

    def deactivate(self, active: CpuSlab) -> None:
        """Take a CPU's active slab away from it."""
        slab = active.slab
        if slab is not None:
            active.slab = None
            active.free = []
            self._unfreeze(slab)

    def flush(self, cache: KmemCache) -> None:
        """Take every CPU's slabs away (``flush_all()``)."""
        for active in cache.cpu_slabs.values():
            self.deactivate(active)
            waiting, active.partial = active.partial, []
            for slab in waiting:
                self._unfreeze(slab)

    # -- giving places back -----------------------------------------------------------------------

    def put_back_all(self, objects: list[SlabObject]) -> None:
        """Free what the quarantine gave up: :meth:`put_back` of each, with the common case in line."""
        for o in objects:
            slab = o.slab
            if slab.cpu is None or slab.cpu.slab is slab:
                self.put_back(slab, o.index)
            else:
                # It waits on a CPU's partial list already. Free pointers are KASAN's business: nobody may look.
                slab.free.append(o.index)

    def put_back(self, slab: Slab, index: int) -> None:
        """Put a place on its slab's free list (``__slab_free()``)."""
        cache = slab.cache
        free = slab.free
        holder = slab.cpu
        if holder is not None and holder.slab is slab and holder is not cache.cpu_slabs.get(self.kernel.cpu.id):
            free = slab.remote
        head = slab.first + free[-1] * slab.stride if free else 0
        self.store_link(self.ram, slab.phys + index * slab.stride + cache.layout.offset, head)
        free.append(index)
        if holder is not None:
            return
        if cache.debug:
            self._debug_put(slab)
        elif not slab.listed:
            self._was_full(slab)
        elif len(free) == slab.objects and slab.empty:
            partial = cache.node(slab.node).partial
            if len(partial) >= cache.layout.min_partial:
                del partial[slab]
                self.discard(slab)

    def _was_full(self, slab: Slab) -> None:
        """A full slab has room again: let it wait on this CPU's partial list (``put_cpu_partial()``)."""
        cache = slab.cache
        limit = cache.layout.cpu_partial_slabs
        cpu = self.kernel.cpu.id
        active = cache.cpu_slabs.get(cpu)
        if active is None:
            active = cache.cpu_slabs[cpu] = CpuSlab()
        if len(active.partial) >= limit:
            waiting, active.partial = active.partial, []
            for other in waiting:
                self._unfreeze(other)
        slab.cpu = active
        active.partial.append(slab)

    def _debug_put(self, slab: Slab) -> None:
        """``free_to_partial_list()``."""
        partial = slab.cache.node(slab.node).partial
        if slab.empty and len(partial) >= slab.cache.layout.min_partial:
            partial.pop(slab, None)
            self.discard(slab)
        elif not slab.listed:
            self._list(slab, first=False)
