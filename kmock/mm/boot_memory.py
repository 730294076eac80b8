"""Memory while the machine boots: memblock in force, until the page allocator takes over (``mm/memblock.c``).

A test gets hold of that time with :meth:`~kmock.machine.Kernel.early_boot`. What it changes there is what the zones are
made of. A machine that nobody meddled with shares the outcome with all others of its kind.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from kmock.lang.ptr import Ptr, make_ptr
from kmock.mm.gfp import __GFP_ZERO as GFP_ZERO
from kmock.mm.gfp import GFP_NOWAIT
from kmock.mm.layout import PAGE_SHIFT
from kmock.mm.memblock import NUMA_NO_NODE, SMP_CACHE_BYTES, Memblock
from kmock.mm.memblock_type import MAX_NUMNODES
from kmock.mm.node import pglist_data
from kmock.mm.page_addr import null
from kmock.mm.zone_layout import given_back, memory_of, plan_zones, setup_arch, zone_bounds
from kmock.mm.zones import Zones
from kmock.sanitizers.object import UNWRITTEN, Allocation
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmock.fs.files import KernelFiles
    from kmock.machine import Kernel
    from kmock.mm.memblock_type import memblock_type
    from kmock.mm.zone_layout import ZonePlan

_NO_NODE_WARNING: Final = "Usage of MAX_NUMNODES is deprecated. Use NUMA_NO_NODE instead"


class BootBlock(Allocation):
    """Memory that early boot handed out. It stays its owner's for good, unless that gives it back in time."""

    __slots__ = ("call",)
    area = "page"
    call: str

    @property
    def what(self) -> str:
        """Say which call gave it."""
        return f"{self.size} bytes of {self.call}()"

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        return "free_bootmem" if "bootmem" in self.call else "memblock_free"


class BootMemory:
    """One machine's memblock, and whether it is still in force."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        config = kernel.config
        self._ranges = config.reported_ranges()
        self.memblock = setup_arch(kernel.layout, self._ranges).copy()
        self.memblock.log = kernel.log.write
        self.memblock.allow_resize()
        self.memblock.movable_node = config.boot_arg("movable_node") is not None
        self.memblock.mirrored_kernelcore = config.boot_arg("kernelcore") == "mirror"
        self.debug = "debug" in (config.boot_arg("memblock") or "")
        self.early = False
        """Whether boot-time calls are in place."""
        self.bounds: Sequence[int] = zone_bounds(kernel.layout)
        """Page frames at which zones begin, and the end of the last."""
        self.zones_made = False
        """Whether free_area_init_nodes() was called."""
        self.sections: set[int] = set()
        """Sections that have a memory map, as far as early boot said so."""
        self.dma_reserve = 0
        """Pages of the first zone that its watermarks leave out of account."""
        self.blank = False
        """Whether all memory is reserved merely because nothing was freed yet (init_bootmem())."""
        self.blocks: dict[int, BootBlock] = {}
        """What was allocated and not freed, by physical address."""
        self._opened = False

    # -- from boot to the page allocator --------------------------------------------------------

    @contextmanager
    def open(self) -> Iterator[None]:
        """Turn time back to where memblock is in force; at the end the page allocator takes over what is left."""
        if self.early or self._in_use():
            raise RuntimeError("early_boot(): the page allocator has taken over: call it before anything allocates")
        self.early = self._opened = True
        if "page_alloc" in vars(self.kernel):
            self._adopt(())
        try:
            yield
        finally:
            self.early = False
        self._hand_over()

    def _in_use(self) -> bool:
        k = self.kernel
        return "slab" in vars(k) or ("page_alloc" in vars(k) and bool(k.page_alloc.blocks))

    def _hand_over(self) -> None:
        k = self.kernel
        plans = self.plans()
        if not any(plan.managed_pages for plan in plans or ()):
            k.panic("cannot initialize percpu area (err=-12)")
        if "page_alloc" in vars(k):
            self._adopt(plans)

    def _adopt(self, plans: tuple[ZonePlan, ...] | None) -> None:
        k = self.kernel
        k.memmap.pages.clear()
        k.page_alloc.adopt(Zones(k.config, k.layout, plans))

    def plans(self) -> tuple[ZonePlan, ...] | None:
        """Lay out the zones over what memblock has; none yet in early boot. None for those of any machine of the kind."""
        if self.early:
            return ()
        return self.lay_out() if self._opened else None

    def lay_out(self) -> tuple[ZonePlan, ...]:
        """Lay out the zones over what memblock has now."""
        memblock = self.memblock.copy()
        at = 0
        for start, end in self.kernel.ram.ranges:
            # Where there is no memory at all nobody must be given any.
            memblock.memory.remove(at, start - at)
            at = end
        memblock.memory.remove(at, (1 << 64) - 1)
        nodes = memory_of(memblock, len(self._ranges))
        late = given_back(nodes) if any(nodes) else []
        plans = plan_zones(memblock, nodes, self.bounds, self.kernel.config.movable, late)
        return tuple(self._less_reserve(plan) for plan in plans)

    def _less_reserve(self, plan: ZonePlan) -> ZonePlan:
        counts = not plan.idx and plan.managed_pages > self.dma_reserve
        return plan._replace(late=plan.late + self.dma_reserve) if counts else plan

    # -- the time of a call ---------------------------------------------------------------------

    def at_boot(self, call: str) -> Memblock:
        """Return memblock for a call that has its place in early boot; report it at any other time."""
        if not self.early:
            self.report("bootmem-late", [f"{call}() works on tables that nobody looks at any more"], key=call)
        return self.memblock

    def report(self, kind: str, lines: list[str], key: object = None) -> None:
        """Report what the kernel says nothing about."""
        k = self.kernel
        k.report(kind, f"BUG: kmock: {kind} in {k.symbol(k.capture())}", lines=lines, key=(kind, key))

    def note(self, call: str, base: int, size: int, more: str = "") -> None:
        """``memblock_dbg()`` of a call about a range."""
        if self.debug:
            k = self.kernel
            end = base + size - 1 & (1 << 64) - 1
            k.log.write(f"{call}: [0x{base:016x}-0x{end:016x}] {more}{k.symbol(k.capture())}")

    # -- allocation -----------------------------------------------------------------------------

    def alloc(
        self, call: str, size: int, align: int, low: int, high: int, nid: int, *, exact: bool = False, zero: bool = True
    ) -> Ptr:
        """``memblock_alloc_internal()``: return the address of ``size`` bytes in [low, high), NULL if none fit.

        Below ``low`` will do if there is nothing above it. After boot it is a mistake, and served by the slab.
        """
        if self.debug:
            self._note_alloc(call, size, align, low, high, nid)
        if not self.early:
            return self._served_late(size, nid)
        high = min(high, self.memblock.current_limit)
        found = self.find(size, align, low, high, nid, exact=exact)
        if not found and low:
            found = self.find(size, align, 0, high, nid, exact=exact)
        if not found:
            return null(call, size)
        return self.given(call, found, size, zero=zero)

    def given(self, call: str, phys: int, size: int, *, zero: bool = True) -> Ptr:
        """Return the address of what was just allocated, zeroed or as it is."""
        block = self.own(call, phys, size)
        if not self.kernel.ram.exists(phys):
            block.phys = -1  # registered by mistake: whoever touches it faults
        elif zero:
            self.kernel.ram.bytes[phys : phys + size] = bytes(size)
            block.written = None
        return make_ptr(block.addr, block)

    def find(self, size: int, align: int, low: int, high: int, nid: int, *, exact: bool = False) -> int:
        """``memblock_alloc_range_nid()`` with its checks: return a physical address, 0 for none."""
        k = self.kernel
        if nid == MAX_NUMNODES:
            k.warn("bootmem-bad-range", "mm/memblock.c:1381", "memblock_alloc_range_nid", _NO_NODE_WARNING, key="nid")
            nid = NUMA_NO_NODE
        if not align or align & align - 1:
            self.report("bootmem-bad-align", [f"an alignment of {align} bytes"], key=align)
        self.blank = False
        return self.memblock.alloc(size, align or SMP_CACHE_BYTES, low, high, nid, exact=exact)

    def phys_alloc(self, call: str, size: int, align: int, low: int, high: int, nid: int = NUMA_NO_NODE) -> int:
        """Return the physical address of ``size`` bytes in [low, high) whose contents are what they were; 0 for none."""
        self.at_boot(call)
        if self.debug:
            self._note_alloc(call, size, align, low, high, nid)
        found = self.find(size, align, low, high, nid)
        if found:
            self.own(call, found, size)
        return found

    def _note_alloc(self, call: str, size: int, align: int, low: int, high: int, nid: int) -> None:
        k = self.kernel
        node = "" if call == "memblock_phys_alloc_range" else f"nid={nid} "
        bounds = f"from=0x{low:016x} max_addr=0x{high:016x}"
        k.log.write(f"{call}: {size} bytes align=0x{align:x} {node}{bounds} {k.symbol(k.capture())}")

    def _served_late(self, size: int, nid: int) -> Ptr:
        k = self.kernel
        k.warn("bootmem-late", "mm/memblock.c:1505", "memblock_alloc_internal", key="once")
        return k.slab.kmalloc(size, GFP_NOWAIT | GFP_ZERO, nid)

    def own(self, call: str, phys: int, size: int) -> BootBlock:
        """Keep the record of an allocation, nothing written to it yet."""
        k = self.kernel
        block = BootBlock()
        block.call = call
        block.addr = k.layout.page_offset + phys
        block.phys = phys
        block.size = size
        block.live = True
        block.written = UNWRITTEN
        block.alloc_stack = capture(2)
        block.free_stack = block.free_task = None
        block.task = k.cpu.task
        block.cpu = k.cpu
        block.time = k.clock.now
        k.seq = block.seq = k.seq + 1
        block.scan = 0
        self.blocks[phys] = block
        return block

    # -- release --------------------------------------------------------------------------------

    def reserve(self, call: str, base: int, size: int) -> int:
        """``memblock_reserve()``: keep the range from being allocated; 0, or -ENOMEM."""
        memblock = self.at_boot(call)
        self.note(call, base, size)
        taken = next((b for b in self.blocks.values() if b.phys < base + size and base < b.phys + b.size), None)
        if taken is not None:
            self.report("bootmem-overlap", [f"{taken.what} lie in the range"], key=taken)
        self.blank = False
        return memblock.reserved.add(base, size)

    def phys_free(self, call: str, base: int, size: int) -> int:
        """``memblock_phys_free()``: take the range from what is reserved; 0, or -ENOMEM."""
        memblock = self.at_boot(call)
        self.note(call, base, size)
        self.disown(base, size)
        return memblock.reserved.remove(base, size)

    def disown(self, base: int, size: int) -> None:
        """End the life of what was allocated in the range."""
        k = self.kernel
        for phys, block in [*self.blocks.items()]:
            if base <= phys and phys + block.size <= base + size:
                del self.blocks[phys]
                block.live = False
                block.free_stack = capture(3)
                block.free_task = k.cpu.task

    # -- nodes ----------------------------------------------------------------------------------

    @cached_property
    def nodes(self) -> dict[int, pglist_data]:
        """NODE_DATA() of every node."""
        return {nid: pglist_data(self, nid) for nid in range(len(self._ranges))}

    def memory_end(self) -> int:
        """Return the page frame behind the last one that the direct map reaches (``max_low_pfn``)."""
        lowmem = self.kernel.layout.direct_map_size >> PAGE_SHIFT
        return min(max((r.end for r in self.memblock.pfn_ranges()), default=0), lowmem)


def attach(files: KernelFiles) -> None:
    """Add the files of ``/sys/kernel/debug/memblock``."""

    def show(name: str) -> str:
        table: memblock_type = getattr(files.kernel.boot_memory.memblock, name)
        return "".join(f"{i:4}: 0x{r.base:016x}..0x{r.end - 1:016x}\n" for i, r in enumerate(table.regions))

    for name in ("memory", "reserved"):
        files.add(f"/sys/kernel/debug/memblock/{name}", partial(show, name))
