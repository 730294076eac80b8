"""The slab allocator (``mm/slub.c``): objects of one size, and what is known of each.

Places for objects come from :mod:`kmock.mm.slab_pool`. An allocation takes one and makes a record of who wanted it;
a free ends the record and gives the place back, under KASAN by way of the quarantine. The record stays with every
pointer made from it, so that a stale pointer is told from its memory's new owner.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from kmock.lang.ptr import Ptr, make_ptr
from kmock.mm import bad_alloc, bad_free
from kmock.mm.bad_alloc import GFP_SLAB_BUG_MASK
from kmock.mm.gfp import __GFP_ACCOUNT as GFP_ACCOUNT
from kmock.mm.gfp import __GFP_COMP as GFP_COMP
from kmock.mm.gfp import __GFP_DIRECT_RECLAIM as GFP_DIRECT_RECLAIM
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import __GFP_RECLAIMABLE as GFP_RECLAIMABLE
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_DMA, GFP_DMA32
from kmock.mm.memblock_type import MAX_NUMNODES
from kmock.mm.might_alloc import might_alloc
from kmock.mm.slab import KmemCache, SlabObject, ZeroSize
from kmock.mm.slab_layout import (
    DEBUG_METADATA_FLAGS,
    KMALLOC_CLASS,
    KMALLOC_MAX_CACHE_SIZE,
    KMALLOC_NAMES,
    KMALLOC_SIZES,
    MAX_ORDER,
    SLAB_ACCOUNT,
    SLAB_CACHE_DMA,
    SLAB_CACHE_DMA32,
    SLAB_KMALLOC,
    SLAB_NOLEAKTRACE,
    SLAB_RECLAIM_ACCOUNT,
    SLAB_TYPESAFE_BY_RCU,
    SLUB_MAX_ORDER,
    Layout,
    calculate_alignment,
    calculate_sizes,
    get_order,
    parse_slub_debug,
)
from kmock.mm.slab_layout import KMALLOC_MIN_ALIGN as MIN_ALIGN
from kmock.mm.slab_pool import SlabPool
from kmock.sanitizers.object import RESERVED, SCAN_IGNORE, UNWRITTEN, Allocation, FailedAllocation
from kmock.sanitizers.quarantine import PERCPU_SIZE, Quarantine
from kmock.stack import capture_ten

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel
    from kmock.mm.sensitive import Sensitive
    from kmock.stack import Stack

ZERO_SIZE: Final = 16
"""Where ZERO_SIZE_PTR points."""
SIZE_MAX: Final = (1 << 64) - 1
NUMA_NO_NODE: Final = -1

# kmalloc_type(): the name and the flags of the caches that each of these gfp bits chooses, first match first.
KMALLOC_TYPES: Final = (
    (GFP_DMA, "dma-kmalloc-", SLAB_CACHE_DMA),
    (GFP_RECLAIMABLE, "kmalloc-rcl-", SLAB_RECLAIM_ACCOUNT),
    (GFP_ACCOUNT, "kmalloc-cg-", SLAB_ACCOUNT),
)
_TYPED = GFP_DMA | GFP_RECLAIMABLE | GFP_ACCOUNT

_new = int.__new__


class Slub(SlabPool):
    """Every cache of one kernel, and kmalloc()."""

    __slots__ = (
        "caches",
        "claims",
        "init_on_alloc",
        "init_on_free",
        "kmalloc_caches",
        "options",
        "pending_rcu",
        "quarantine",
        "rechecked",
        "sensitive",
        "unwritten",
    )

    def __init__(self, kernel: Kernel) -> None:
        config = kernel.config
        super().__init__(kernel)
        self.caches: list[KmemCache] = []
        """Oldest first."""
        self.kmalloc_caches: dict[int, list[KmemCache | None]] = {
            bit: [None] * len(KMALLOC_SIZES) for bit in (0, GFP_DMA, GFP_RECLAIMABLE, GFP_ACCOUNT)
        }
        """By type (the gfp bit that chooses it) and size class; made when first used."""
        self.claims: dict[int, str] = {}
        """The call that gives an object back, where that is not kfree(), by the ordinal of its allocation."""
        self.sensitive: Sensitive | None = None
        """Which memory holds secrets; made by the first kfree_sensitive()."""
        self.rechecked: dict[int, int] = {}
        """By ordinal of a freed SLAB_TYPESAFE_BY_RCU object: whom a reader met in its place."""
        self.pending_rcu: set[int] = set()
        """Ordinals of objects that are freed at the end of a grace period."""
        self.options = parse_slub_debug(config.boot_arg("slub_debug"))
        self.quarantine: Quarantine | None = None
        if config.kasan:
            self.quarantine = Quarantine(sum(end - start for start, end in kernel.ram.ranges), config.cpus)
        self.init_on_alloc = kernel.page_alloc.init_on_alloc
        self.init_on_free = kernel.page_alloc.init_on_free
        self.unwritten: bytes | None = UNWRITTEN if config.initmem else None

    # -- caches -----------------------------------------------------------------------------------

    def layout(self, name: str, size: int, align: int, flags: int, *, ctor: bool = False) -> Layout | None:
        """Lay out a cache; None if its objects are too large for the page allocator."""
        config = self.kernel.config
        lay_out = functools.partial(
            calculate_sizes,
            size,
            align,
            ctor=ctor,
            kasan=config.kasan,
            cpus=config.cpus,
            word=self.kernel.layout.bits // 8,
            max_order=int(config.boot_arg("slub_max_order") or SLUB_MAX_ORDER),
        )
        flags = self.options.for_cache(name, flags)
        found = lay_out(flags)
        if self.options.low_order and found is not None and get_order(found.size) > get_order(size):
            return lay_out(flags & ~DEBUG_METADATA_FLAGS)
        return found

    def kmalloc_cache(self, index: int, gfp: int) -> KmemCache:
        """Return the cache of a size class for allocations with ``gfp`` (``kmalloc_slab()``)."""
        bit, prefix, flags = next((t for t in KMALLOC_TYPES if gfp & t[0]), (0, "kmalloc-", 0))
        found = self.kmalloc_caches[bit][index]
        if found is None:
            size = KMALLOC_SIZES[index]
            align = calculate_alignment(flags, size if size & size - 1 == 0 else MIN_ALIGN, size)
            name = prefix + KMALLOC_NAMES[index]
            layout = self.layout(name, size, align, flags | SLAB_KMALLOC)
            assert layout is not None
            found = self.kmalloc_caches[bit][index] = self.add_cache(KmemCache(name, layout))
            found.usersize = size
        return found

    def add_cache(self, cache: KmemCache) -> KmemCache:
        """Put a new cache on the list of all caches."""
        flags = cache.flags
        cache.allocflags = (
            (GFP_COMP if cache.layout.order else 0)
            | (GFP_DMA if flags & SLAB_CACHE_DMA else 0)
            | (GFP_DMA32 if flags & SLAB_CACHE_DMA32 else 0)
            | (GFP_RECLAIMABLE if flags & SLAB_RECLAIM_ACCOUNT else 0)
        )
        unusual = flags & (SLAB_TYPESAFE_BY_RCU | SLAB_NOLEAKTRACE) or self.init_on_alloc or self.init_on_free
        cache.special = cache.debug or cache.ctor is not None or bool(unusual)
        self.caches.append(cache)
        return cache

    # -- allocation -------------------------------------------------------------------------------

    def kmalloc(self, size: int, gfp: int, node: int = NUMA_NO_NODE) -> Ptr:
        """``kmalloc()``: a pointer, NULL, or ZERO_SIZE_PTR for ``size`` 0."""
        if 0 < size <= KMALLOC_MAX_CACHE_SIZE:
            index = KMALLOC_CLASS[size + 7 >> 3]
            cache = self.kmalloc_caches[0][index] if not gfp & _TYPED else None
            if cache is None:
                cache = self.kmalloc_cache(index, gfp)
            return self.alloc(cache, size, gfp, node)
        return self._kmalloc_odd(size, gfp, node)

    def alloc(self, cache: KmemCache, size: int, gfp: int, node: int = NUMA_NO_NODE) -> Ptr:
        """Allocate an object of ``cache`` of which the caller asked for ``size`` bytes; NULL if there is no memory."""
        k = self.kernel
        cpu = k.cpu
        task = cpu.task
        if gfp & GFP_DIRECT_RECLAIM:
            if cpu.preempt_count or cpu.irqs_off or task.rcu_depth or task.non_block or task.held:
                might_alloc(k, gfp)
            quarantine = self.quarantine
            if quarantine is not None and quarantine.size > quarantine.limit:
                self.put_back_all(quarantine.reduce())
        if k.faults.active and k.faults.should_failslab(cache, size, gfp):
            return self.failed(cache, size)
        if gfp & GFP_SLAB_BUG_MASK:
            gfp = bad_alloc.fix_flags(k, cache, gfp)

        active = cache.cpu_slabs.get(cpu.id)
        slab = active.slab if active is not None and active.free and node < 0 else self.take_slab(cache, gfp, node, cpu)
        if slab is None:
            return self.failed(cache, size, gfp, node)
        index = slab.free.pop()
        records = slab.records
        old = records[index]
        if old is not None and old.live:
            bad_alloc.handed_out_twice(k, old)
        o = SlabObject()
        o.slab = slab
        o.index = index
        at = index * cache.size
        o.addr = address = slab.first + at
        o.phys = slab.phys + at
        o.size = size
        o.live = True
        o.written = self.unwritten
        o.alloc_stack = capture_ten(3)
        o.free_stack = None
        o.free_task = None
        o.task = task
        o.cpu = cpu
        o.time = k.clock.now
        k.seq = o.seq = k.seq + 1
        o.scan = 0
        records[index] = o
        if gfp & GFP_ZERO or cache.special:
            self._prepare(cache, o, gfp)
        p = _new(Ptr, address)
        p.origin = o
        return p

    def kmem_cache_alloc(self, cache: KmemCache | Ptr, gfp: int, node: int = NUMA_NO_NODE) -> Ptr:
        """``kmem_cache_alloc()``: an object, or NULL."""
        if cache.__class__ is KmemCache and not cache.destroyed:
            return self.alloc(cache, cache.object_size, gfp, node)
        return bad_alloc.no_cache(self.kernel, cache)

    def _prepare(self, cache: KmemCache, o: SlabObject, gfp: int) -> None:
        """Fill a fresh object with what its cache or its caller wants in it."""
        if cache.debug:
            self.debug.activate(o)
        if cache.ctor is not None:
            if gfp & GFP_ZERO:
                self.kernel.warn(
                    "cache-ctor-zero", "mm/slub.c:2001", "new_slab", key=cache, attributes={"cache": cache.name}
                )
            written = o.slab.constructed[o.index][0]
            o.written = bytearray(written) if written else written
            if self.kernel.mem.origins:
                self.kernel.mem.revive(o)
        if gfp & GFP_ZERO or (self.init_on_alloc and cache.ctor is None and not cache.layout.typesafe):
            self.ram[o.phys : o.phys + cache.object_size] = bytes(cache.object_size)
            o.written = None
            o.zeroed = True
        if cache.flags & SLAB_NOLEAKTRACE:
            o.scan = SCAN_IGNORE

    def failed(self, cache: KmemCache, size: int, gfp: int = GFP_NOWARN, node: int = NUMA_NO_NODE) -> Ptr:
        """The NULL of a failed allocation, which knows the call; say what is missing unless told not to."""
        if not gfp & GFP_NOWARN:
            bad_alloc.out_of_memory(self.kernel, cache, gfp, node)
        stack = capture_ten(3)
        call = bad_alloc.public_call(stack, "kmalloc" if cache.is_kmalloc else "kmem_cache_alloc")
        return make_ptr(0, FailedAllocation(call, size, stack))

    def _kmalloc_odd(self, size: int, gfp: int, node: int) -> Ptr:
        """kmalloc() of 0 bytes, of more than a cache holds, or of what no size can be."""
        k = self.kernel
        if size == 0:
            k.report("slab-zero-size-alloc", "BUG: kmock: slab-zero-size-alloc in kmalloc()")
            return self.zero_size()
        if size > SIZE_MAX:
            size = bad_alloc.wrapped_size(k, size)
            return self.kmalloc(size, gfp, node)
        order = get_order(size & SIZE_MAX)
        if order >= MAX_ORDER:
            bad_alloc.too_large(k, size, gfp)
            return make_ptr(0, FailedAllocation("kmalloc", size, capture_ten(3)))
        if gfp & GFP_SLAB_BUG_MASK:
            gfp = bad_alloc.fix_flags(k, None, gfp)
        nid = None if node < 0 else node
        page = k.page_alloc.alloc_pages(gfp | GFP_COMP, order, nid, call="kmalloc")
        if page is None:
            return make_ptr(0, FailedAllocation("kmalloc", size, capture_ten(3)))
        block: Allocation = page.owner
        block.size = size
        return make_ptr(block.addr, block)

    def zero_size(self) -> Ptr:
        """ZERO_SIZE_PTR, knowing where it came from."""
        nothing = ZeroSize()
        nothing.addr = ZERO_SIZE
        nothing.size = 0
        nothing.live = False
        nothing.phys = -1
        nothing.written = None
        nothing.alloc_stack = capture_ten(3)
        nothing.free_stack = None
        nothing.task = self.kernel.current
        nothing.free_task = None
        return make_ptr(ZERO_SIZE, nothing)

    # -- freeing ----------------------------------------------------------------------------------

    def kfree(self, ptr: Ptr) -> None:
        """``kfree()``; NULL and ZERO_SIZE_PTR are nothing to do."""
        o = ptr.origin if ptr.__class__ is Ptr else None
        if o.__class__ is SlabObject and o.live and o.addr == ptr and not (self.claims and o.seq in self.claims):
            if not o.slab.cache.is_kmalloc:
                bad_free.cache_object(self.kernel, o)
            self.release(o)
        elif ptr > ZERO_SIZE:
            bad_free.free(self.kernel, ptr, "kfree")

    def release(self, o: SlabObject) -> None:
        """Free a living object."""
        k = self.kernel
        slab = o.slab
        cache = slab.cache
        if k.mem.origins:
            if cache.ctor is None:
                k.mem.forget_origins(o.phys, cache.object_size)
            else:
                k.mem.embedded.retire(o.phys, cache.object_size)
        if cache.special and not bad_free.may_go(k, o):
            return
        cpu = k.cpu
        o.live = False
        o.free_stack = capture_ten(3)
        o.free_task = cpu.task
        quarantine = self.quarantine
        if quarantine is None or not cache.quarantined or cache.layout.typesafe:
            self.put_back(slab, o.index)
            return
        queue = quarantine.queues.get(cpu.id)
        if queue is None:
            queue = quarantine.queue(cpu.id)
        queue.objects.append(o)
        queue.bytes += cache.size
        if queue.bytes > PERCPU_SIZE:
            quarantine.move(queue)

    def kmem_cache_free(self, cache: KmemCache, ptr: Ptr) -> None:
        """``kmem_cache_free()``."""
        o = ptr.origin if ptr.__class__ is Ptr else None
        if (
            o.__class__ is SlabObject
            and o.live
            and o.addr == ptr
            and o.slab.cache is cache
            and not (self.claims and o.seq in self.claims)
        ):
            self.release(o)
        else:
            bad_free.cache_free(self.kernel, cache, ptr)

    def retire(self, o: SlabObject) -> None:
        """Treat an object as freed without giving its place to anybody again."""
        o.live = False
        o.free_stack = capture_ten(4)
        o.free_task = self.kernel.current

    def claim(self, about: Allocation, undo: str) -> None:
        """Say that a kmalloc()ed object goes to its user as something else, which ``undo`` gives back."""
        self.claims[about.seq] = undo

    def disclaim(self, about: Allocation) -> None:
        """Take :meth:`claim` back, before the object is freed."""
        if about.live:
            self.claims.pop(about.seq, None)

    def still_typed(self, about: Allocation, there: Allocation | None) -> bool:
        """Whether a freed object of a SLAB_TYPESAFE_BY_RCU cache may be touched: by a reader that may meet a new owner.

        A reader that looked at the new owner inside its section has had the chance to see who it is now, and may
        go on with the object outside.
        """
        if about.__class__ is not SlabObject or not about.slab.cache.layout.typesafe:
            return False
        owner = there.seq if there is not None and there.live else 0
        if self.kernel.current.rcu_depth:
            self.rechecked[about.seq] = owner
            return True
        return owner > 0 and self.rechecked.get(about.seq) == owner

    # -- what others ask --------------------------------------------------------------------------

    def report_caches(self, mine: Callable[[Stack], bool]) -> None:
        """Report the caches that ``mine`` says yes to (asked about the stack of their creation) and nobody destroyed."""
        k = self.kernel
        for cache in self.caches:
            made = cache.struct
            if made is not None and cache.refcount > 0 and mine(made.alloc_stack):
                k.report(
                    "cache-never-destroyed",
                    f"BUG: kmock: cache-never-destroyed in {k.symbol(made.alloc_stack)}",
                    lines=[
                        f"cache {cache.name} of {cache.object_size}-byte objects was never given to kmem_cache_destroy()"
                    ],
                    stacks={"allocated": made.alloc_stack},
                    key=(cache, "destroyed"),
                    attributes={"cache": cache.name},
                )

    def pages(self, nid: int = MAX_NUMNODES) -> tuple[int, int]:
        """Pages of reclaimable caches, and of all others with what kmalloc() took in whole pages, on a node or on all."""
        zone_of = self.kernel.zone_of
        counts = [0, 0]
        for block in self.kernel.page_alloc.live_blocks():
            zone = zone_of(block.page.pfn) if block.call == "kmalloc" else None
            if zone is not None and nid in (MAX_NUMNODES, zone.nid):
                counts[1] += 1 << block.order
        for cache in self.caches:
            sizes = [1 << slab.order for slab in cache.slabs if nid in (MAX_NUMNODES, slab.node)]
            counts[not cache.flags & SLAB_RECLAIM_ACCOUNT] += sum(sizes)
        return counts[0], counts[1]

    def debug_headline(self, about: Allocation | None, address: int) -> str:
        """What the kernel would print later of a stray write at ``address``; empty where it would find nothing."""
        if about is not None and not self.kernel.kasan.on and getattr(about, "fate", "") == RESERVED:
            return "BUG: mempool element poison mismatch"
        if not isinstance(about, SlabObject) or not about.slab.cache.debug:
            return ""
        return self.debug.headline(about, address)
