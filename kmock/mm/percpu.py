"""Per-CPU memory (``mm/percpu.c``): chunks, each with a unit for every processor, and the map of what is taken.

What an allocation returns is a cookie: the address of the first processor's copy less the base of the first chunk.
Adding a processor's offset to it gives the address of that processor's copy. The first chunk lies in the direct
map; further ones are mapped below the end of the vmalloc area, their units at the same distances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from sortedcontainers import SortedDict

from kmock.mm.gfp import __GFP_HIGHMEM as GFP_HIGHMEM
from kmock.mm.gfp import __GFP_NORETRY as GFP_NORETRY
from kmock.mm.gfp import __GFP_NOWARN as GFP_NOWARN
from kmock.mm.gfp import GFP_KERNEL
from kmock.mm.layout import PAGE_SIZE
from kmock.mm.percpu_units import KERNEL_STATIC, RESERVED_SIZE, STATIC_SIZE, UNIT_USED, lay_out
from kmock.sanitizers.object import Allocation
from kmock.stack import capture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.percpu_units import Group
    from kmock.stack import Stack

MIN_ALLOC: Final = 4
"""``PCPU_MIN_ALLOC_SIZE``."""
MIN_UNIT_SIZE: Final = 32 << 10
"""``PCPU_MIN_UNIT_SIZE``: the most that one allocation may ask for."""
WARN_LIMIT: Final = 10
SIZEOF_CHUNK: Final = 200
_DIRECT_RECLAIM: Final = 0x400
_ADDRESS_MASK: Final = (1 << 64) - 1


class PerCpuMemory(Allocation):
    """What one variable takes in every unit, or one processor's part of that."""

    __slots__ = ()
    area = "percpu"
    leak_kind = "percpu-leak"

    @property
    def undo(self) -> str:
        """The call that gives it back."""
        return "free_percpu"


@final
class Area(PerCpuMemory):
    """A per-CPU variable or allocation; its address is the cookie, which is no memory's address."""

    __slots__ = ("call", "chunk", "copies", "offset", "users")
    fault_kind = "percpu-raw-deref"
    call: str
    """The public call that made it, or the name of a variable."""
    chunk: Chunk
    offset: int
    copies: dict[int, Copy]
    users: dict[int, dict[str, Stack]]
    """Who updates it, by address and context, as far as that matters."""

    @property
    def what(self) -> str:
        """Say what made it."""
        return f"per-CPU memory of {self.call}()" if self.chunk.holds_dynamic(self.offset) else f"per-CPU {self.call}"

    def copy(self, cpu: int) -> Copy:
        """Return processor ``cpu``'s copy."""
        found = self.copies.get(cpu)
        if found is None:
            found = self.copies[cpu] = self.chunk.owner.copy_of(self, cpu)
        return found


@final
class Copy(PerCpuMemory):
    """One processor's copy of an area."""

    __slots__ = ("of", "on")
    of: Area
    on: int

    @property
    def what(self) -> str:
        """Say whose copy of what it is."""
        return f"CPU {self.on}'s copy of {self.of.what}"

    @property
    def fault_kind(self) -> str:
        """Kind of report where the processor refuses an access beside it."""
        return "percpu-out-of-bounds" if self.live else "percpu-use-after-free"


class Region:
    """The units of one group in one chunk, for whoever asks what an address belongs to."""

    def __init__(self, chunk: Chunk, group: Group, unit_size: int) -> None:
        self.chunk = chunk
        self.cpus = group.cpus
        self.unit_size = unit_size
        self.start = chunk.base + group.offset
        self.end = self.start + (len(group.cpus) - 1) * unit_size + chunk.size

    @property
    def variables(self) -> list[Allocation]:
        """Every processor's copy of everything: kmemleak looks for pointers in all of them."""
        return [area.copy(cpu) for area in self.chunk.areas.values() if area.live for cpu in self.cpus]

    def probe(self, address: int) -> Allocation | None:
        """Return the copy, living or freed, that ``address`` lies in."""
        unit, offset = divmod(address - self.start, self.unit_size)
        area = self.chunk.at(offset)
        return area.copy(self.cpus[unit]) if area is not None else None


class Chunk:
    """``struct pcpu_chunk``: one unit for each processor, and what is taken of them."""

    def __init__(self, owner: PerCpu, base: int, size: int, *, slot: int) -> None:
        self.owner = owner
        self.base = base
        """Address of the first processor's unit."""
        self.size = size
        self.slot = slot
        """Which part of the address space it took; -1 for the first chunk."""
        self.areas: SortedDict = SortedDict()
        """Areas by offset, living ones and freed ones whose place nobody took since."""
        self.holes: SortedDict = SortedDict({0: size})
        self.pages: dict[int, list[Page]] = {}
        """Pages of each page-sized slice of the units, one for each processor, where they had to be mapped."""
        self.regions = [Region(self, group, owner.units.size) for group in owner.units.groups]

    def holds_dynamic(self, offset: int) -> bool:
        """Whether alloc_percpu() allocates there, and not the linker."""
        return self.slot >= 0 or offset >= STATIC_SIZE + RESERVED_SIZE

    def at(self, offset: int) -> Area | None:
        """Return the area that ``offset`` lies in."""
        index = self.areas.bisect_right(offset) - 1
        if index < 0:
            return None
        found: Area = self.areas.peekitem(index)[1]
        return found if offset < found.offset + found.size else None

    def find(self, size: int, align: int, start: int, end: int, *, populated: bool) -> int:
        """Return the lowest free place in [start, end); -1 if there is none. With ``populated``, where pages are."""
        for hole, length in self.holes.items():
            at = -(-max(hole, start) // align) * align
            last = min(hole + length, end)
            while at + size <= last:
                if not populated or not any(True for _ in self.bare(at, size)):
                    return int(at)
                at += max(align, PAGE_SIZE)
        return -1

    def bare(self, offset: int, size: int) -> Iterator[int]:
        """The slices of [offset, offset + size) that have no pages."""
        if self.slot >= 0:
            for n in range(offset // PAGE_SIZE, (offset + size - 1) // PAGE_SIZE + 1):
                if n not in self.pages:
                    yield n

    def take(self, offset: int, size: int) -> None:
        """Take a place that is free; what was there before is forgotten."""
        hole = self.holes.keys()[self.holes.bisect_right(offset) - 1]
        length = self.holes.pop(hole)
        if offset > hole:
            self.holes[hole] = offset - hole
        if hole + length > offset + size:
            self.holes[offset + size] = hole + length - offset - size
        while (stale := self._first(offset, size)) is not None:
            del self.areas[stale.offset]

    def _first(self, offset: int, size: int) -> Area | None:
        key = next(self.areas.irange(offset, offset + size - 1), None)
        return self.at(offset) if key is None else self.areas[key]

    def give(self, offset: int, size: int) -> None:
        """Free a place, and join it with what is free around it."""
        index = self.holes.bisect_left(offset)
        if index < len(self.holes):
            behind, length = self.holes.peekitem(index)
            if behind == offset + size:
                del self.holes[behind]
                size += length
        if index:
            before, length = self.holes.peekitem(index - 1)
            if before + length == offset:
                offset, size = before, length + size
        self.holes[offset] = size


class PerCpu:
    """The per-CPU allocator of one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.units = lay_out(kernel)
        self.unit_offsets = self.units.offsets()
        self.first = Chunk(self, self.units.base, UNIT_USED, slot=-1)
        self.chunks = [self.first]
        self._warnings = WARN_LIMIT
        kernel.mem.regions += self.first.regions

    # -- looking up -------------------------------------------------------------------------------

    def living(self) -> list[Area]:
        """Every allocation that was not freed; variables are none."""
        return [a for chunk in self.chunks for a in chunk.areas.values() if a.live and chunk.holds_dynamic(a.offset)]

    def area_at(self, cookie: int) -> Area | None:
        """Return the area, living or freed, that a cookie points into."""
        address = cookie + self.units.base & _ADDRESS_MASK
        for chunk in self.chunks:
            if 0 <= address - chunk.base < chunk.size:
                return chunk.at(address - chunk.base)
        return None

    def offset(self, cpu: int) -> int:
        """``__per_cpu_offset[cpu]``; for a processor that can't be it leads to the image's template, which is gone."""
        there = self.unit_offsets.get(cpu)
        return self.kernel.layout.image + (8 << 20) if there is None else self.units.base + there

    def copy_of(self, area: Area, cpu: int) -> Copy:
        """Make the record of a processor's copy."""
        copy = Copy()
        copy.of = area
        copy.on = cpu
        copy.addr = area.chunk.base + self.unit_offsets[cpu] + area.offset
        copy.size = area.size
        copy.phys = self._phys(copy.addr, area.size)
        copy.live = area.live
        copy.written = None
        copy.alloc_stack = area.alloc_stack
        copy.free_stack = area.free_stack
        copy.task = area.task
        copy.free_task = area.free_task
        copy.cpu = area.cpu
        copy.time = area.time
        copy.seq = area.seq
        copy.scan = area.scan
        return copy

    def _phys(self, address: int, size: int) -> int:
        """Return where ``[address, address + size)`` lies in the direct map; -1 if it is mapped page by page."""
        phys = address - self.kernel.layout.page_offset
        return phys if phys >= 0 and phys + size <= self.kernel.mem.size else -1

    # -- allocating -------------------------------------------------------------------------------

    def alloc(self, size: int, align: int, gfp: int, call: str) -> Area | None:
        """``pcpu_alloc()``: zeroed memory for every processor; None where that can't be."""
        k = self.kernel
        wanted = size
        align = max(align, MIN_ALLOC)
        size = -(-size // MIN_ALLOC) * MIN_ALLOC
        if not 0 < size <= MIN_UNIT_SIZE or align > PAGE_SIZE or align & align - 1:
            if not gfp & GFP_NOWARN:
                said = f"illegal size ({size}) or align ({align}) for percpu allocation"
                k.warn("percpu-bad-size", "mm/percpu.c:1758", "pcpu_alloc", said, key=(size, align))
            return None
        atomic = not gfp & _DIRECT_RECLAIM
        if not atomic:
            k.atomic_sleep.might_sleep("kernel/locking/mutex.c:580", "percpu-alloc-atomic")
        found = self._place(size, align, gfp & (GFP_KERNEL | GFP_NORETRY | GFP_NOWARN), atomic=atomic)
        if isinstance(found, str):
            self._failed(size, align, gfp, found, atomic=atomic)
            return None
        chunk, offset = found
        chunk.take(offset, size)
        return self._area(chunk, offset, wanted, call, capture(3))

    def define(self, size: int, align: int, name: str, site: Stack) -> Area:
        """Place a static variable defined at ``site``, as the linker does; ValueError where no room is left for it."""
        size = -(-size // MIN_ALLOC) * MIN_ALLOC
        offset = self.first.find(size, max(align, 8), KERNEL_STATIC, STATIC_SIZE + RESERVED_SIZE, populated=False)
        if offset < 0:
            raise ValueError(f"{name}: could not allocate {size} bytes percpu data")
        self.first.take(offset, size)
        return self._area(self.first, offset, size, name, site)

    def _place(self, size: int, align: int, gfp: int, *, atomic: bool) -> tuple[Chunk, int] | str:
        """Find room and have pages there; else say why not."""
        k = self.kernel
        # The map of a chunk is a kmalloc(): while calls are made to fail one by one, each might need a new chunk.
        if k.faults.counting and k.faults.should_fail_kmalloc(SIZEOF_CHUNK, gfp):
            return "failed to allocate new chunk"
        for chunk in self.chunks:
            start = STATIC_SIZE + RESERVED_SIZE if chunk is self.first else 0
            offset = chunk.find(size, align, start, chunk.size, populated=atomic)
            if offset >= 0:
                return (chunk, offset) if self._populate(chunk, offset, size, gfp) else "failed to populate"
        if atomic:
            return "atomic alloc failed, no space left"
        new = self._new_chunk(gfp)
        if new is None:
            return "failed to allocate new chunk"
        return (new, 0) if self._populate(new, 0, size, gfp) else "failed to populate"

    def _new_chunk(self, gfp: int) -> Chunk | None:
        k = self.kernel
        if k.faults.active and not k.faults.counting and k.faults.should_fail_kmalloc(SIZEOF_CHUNK, gfp):
            return None
        span = -(-self.units.span // PAGE_SIZE) * PAGE_SIZE
        used = {chunk.slot for chunk in self.chunks}
        slot = next(n for n in range(len(used) + 1) if n not in used)
        base = k.layout.vmalloc_end - (slot + 1) * span
        if base < k.layout.vmalloc_start + k.layout.vmalloc_end >> 1:
            return None
        chunk = Chunk(self, base, self.units.size, slot=slot)
        self.chunks.append(chunk)
        k.mem.regions += chunk.regions
        return chunk

    def _populate(self, chunk: Chunk, offset: int, size: int, gfp: int) -> bool:
        """``pcpu_populate_chunk()``: have pages behind ``[offset, offset + size)`` of every unit."""
        k = self.kernel
        for n in list(chunk.bare(offset, size)):
            pages: list[Page] = []
            for cpu in self.unit_offsets:
                page = k.page_alloc.alloc_pages(gfp | GFP_HIGHMEM, 0, k.config.cpu_to_node(cpu), owner=_Backing())
                if page is None:
                    for taken in pages:
                        k.page_alloc.drop(taken, 0)
                    return False
                pages.append(page)
            chunk.pages[n] = pages
            for page, there in zip(pages, self.unit_offsets.values(), strict=True):
                k.mmu.map((chunk.base + there >> 12) + n, page.pfn)
        return True

    def _area(self, chunk: Chunk, offset: int, size: int, call: str, stack: Stack) -> Area:
        k = self.kernel
        area = chunk.areas[offset] = Area()
        area.addr = chunk.base + offset - self.units.base & _ADDRESS_MASK
        area.size = size
        area.phys = -1
        area.live = True
        area.written = None
        area.alloc_stack = stack
        area.free_stack = None
        area.free_task = None
        area.task = k.current
        area.cpu = k.cpu
        area.time = k.clock.now
        area.scan = 0
        area.call = call
        area.chunk = chunk
        area.offset = offset
        area.copies = {}
        area.users = {}
        k.seq = area.seq = k.seq + 1
        for there in self.unit_offsets.values():
            k.mem.poke(chunk.base + there + offset, bytes(size))
        return area

    def _failed(self, size: int, align: int, gfp: int, why: str, *, atomic: bool) -> None:
        if atomic or gfp & GFP_NOWARN or not self._warnings:
            return
        log = self.kernel.log
        log.write(f"percpu: allocation failed, size={size} align={align} atomic={int(atomic)}, {why}")
        self._warnings -= 1
        if not self._warnings:
            log.write("percpu: limit reached, disable warning")

    # -- freeing ----------------------------------------------------------------------------------

    def free(self, area: Area) -> None:
        """``pcpu_free_area()``: free a living allocation; its pages stay, unless another chunk is empty as well."""
        k = self.kernel
        area.live = False
        area.free_stack = capture(3)
        area.free_task = k.current
        for copy in area.copies.values():
            copy.live = False
            copy.free_stack = area.free_stack
            copy.free_task = area.free_task
        chunk = area.chunk
        size = -(-area.size // MIN_ALLOC) * MIN_ALLOC
        if k.mem.origins or k.mem.embedded.frames:
            self._forget(chunk.base + area.offset, area.size)
        chunk.give(area.offset, size)
        if chunk is not self.first and chunk.holes.get(0) == chunk.size:
            self._trim()

    def _forget(self, address: int, size: int) -> None:
        mem = self.kernel.mem
        for there in self.unit_offsets.values():
            at, end = address + there, address + there + size
            while at < end:
                step = min(PAGE_SIZE - at % PAGE_SIZE, end - at)
                phys = mem.translate(at)
                if phys is not None:
                    mem.forget_origins(phys, step)
                at += step

    def _trim(self) -> None:
        """Give back all empty chunks but one, as ``pcpu_balance_free()`` does."""
        empty = [c for c in self.chunks if c is not self.first and c.holes.get(0) == c.size]
        for chunk in empty[1:]:
            self.chunks.remove(chunk)
            for region in chunk.regions:
                self.kernel.mem.regions.remove(region)
            for n, pages in chunk.pages.items():
                for page, there in zip(pages, self.unit_offsets.values(), strict=True):
                    self.kernel.mmu.unmap((chunk.base + there >> 12) + n)
                    self.kernel.page_alloc.drop(page, 0)


class _Backing:
    """Owner of a chunk's pages: what lies in them is found by the chunk's own addresses."""

    __slots__ = ()

    def probe(self, address: int) -> Allocation | None:
        """Nothing is known by its address in the direct map."""
        return None

    def live(self) -> Iterator[Allocation]:
        """Nothing of its own lives here."""
        return iter(())
