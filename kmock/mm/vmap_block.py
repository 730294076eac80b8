"""Short-lived mappings: ``vm_map_ram()`` (``mm/vmalloc.c``).

Small ones are cut from blocks of address space, each processor having its own. What was unmapped is not used again
before its whole block is through, or somebody asks for all aliases to go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from kmock.lang.ptr import Ptr, make_ptr
from kmock.mm.pgprot import PAGE_KERNEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.machine import Kernel
    from kmock.mm.page import Page
    from kmock.mm.vm_area import VmArea

PAGE_SIZE: Final = 4096
VMAP_BBMAP_BITS_MAX: Final = 1024
"""Pages of a block, at most."""


class VmapBlock:
    """A range of addresses that is handed out from its start to its end, once."""

    __slots__ = ("areas", "cpu", "dirty", "free", "pages", "start")

    def __init__(self, start: int, pages: int, cpu: int) -> None:
        self.start = start
        self.pages = pages
        self.cpu = cpu
        self.free = pages
        self.dirty = 0
        """Pages that were mapped and are not any more."""
        self.areas: list[VmArea] = []

    @property
    def size(self) -> int:
        """Bytes of addresses."""
        return self.pages * PAGE_SIZE


class VmapBlocks:
    """The blocks of one kernel, and the mappings too large for them."""

    __slots__ = ("_large", "blocks", "kernel", "max_alloc", "pages")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.max_alloc = kernel.layout.bits
        space = kernel.layout.vmalloc_end - kernel.layout.vmalloc_start >> 12
        per_cpu = space // (1 << (kernel.config.cpus - 1).bit_length()) // 16
        self.pages = min(VMAP_BBMAP_BITS_MAX, max(2 * self.max_alloc, 1 << per_cpu.bit_length() - 1))
        self.blocks: dict[int, VmapBlock] = {}
        """By first address."""
        self._large: dict[int, VmArea] = {}

    def ranges(self) -> list[tuple[int, int]]:
        """Start and size of what has no ``vm_struct``: blocks, and large mappings."""
        blocks = [(block.start, block.size) for block in self.blocks.values()]
        return sorted([*blocks, *((area.addr, area.span) for area in self._large.values())])

    # -- mapping ----------------------------------------------------------------------------------

    def map(self, pages: Sequence[Page | None] | Ptr, count: int) -> Ptr:
        """``vm_map_ram()``: map ``count`` pages; NULL if that fails."""
        k = self.kernel
        vmalloc = k.vmalloc
        if not count:
            k.warn("vmalloc-zero-size", "mm/vmalloc.c:2129", "vm_map_ram")
            return vmalloc.failed("vm_map_ram", 0)
        k.atomic_sleep.might_sleep("include/linux/sched/mm.h:274", "vmalloc-atomic")
        area = self._area(count)
        if area is None:
            return vmalloc.failed("vm_map_ram", count * PAGE_SIZE)
        mapped = vmalloc.maps.pages_of(pages, count)
        if vmalloc.maps.map_range(area.addr, mapped, PAGE_KERNEL):
            self._undo(area)
            return vmalloc.failed("vm_map_ram", count * PAGE_SIZE)
        vmalloc.maps.show(area, [page for page in mapped if page is not None])
        return make_ptr(area.addr, area)

    def _area(self, count: int) -> VmArea | None:
        k = self.kernel
        if count > self.max_alloc:
            address = k.vmalloc.reserve(count * PAGE_SIZE)
        else:
            address = self._cut(1 << (count - 1).bit_length())
        if not address:
            return None
        area = k.vmalloc.record(count * PAGE_SIZE, 0, "vm_map_ram")
        area.addr = address
        k.vmalloc.areas[address] = area
        if count > self.max_alloc:
            self._large[address] = area
        else:
            self._block_of(address).areas.append(area)
        return area

    def _cut(self, pages: int) -> int:
        """``vb_alloc()``: take ``pages`` of a block of this processor's; 0 where there is no room for another."""
        k = self.kernel
        cpu = k.cpu.id
        block = next((b for b in self.blocks.values() if b.cpu == cpu and b.free >= pages), None)
        if block is None:
            size = self.pages * PAGE_SIZE
            start = k.vmalloc.reserve(size, size)
            if not start:
                return 0
            block = self.blocks[start] = VmapBlock(start, self.pages, cpu)
        at = block.start + (block.pages - block.free) * PAGE_SIZE
        block.free -= pages
        return at

    def _block_of(self, address: int) -> VmapBlock:
        return self.blocks[address & -(self.pages * PAGE_SIZE)]

    # -- unmapping --------------------------------------------------------------------------------

    def unmap(self, mem: Ptr, count: int) -> None:
        """``vm_unmap_ram()``: take back what vm_map_ram() mapped, all of it."""
        k = self.kernel
        k.atomic_sleep.might_sleep("mm/vmalloc.c:2280", "vfree-atomic")
        address = int(mem)
        self._check_address(address)
        area = k.vmalloc.areas.get(address)
        if area is None or area.call != "vm_map_ram" or not area.live:
            self._not_mapped(mem, count, area)
            return
        if count != area.size // PAGE_SIZE:
            self._mismatch(area, count)
        self._undo(area)

    def _undo(self, area: VmArea) -> None:
        k = self.kernel
        k.vmalloc.retire(area)
        area.gone = True
        k.vmalloc.maps.unmap_range(area.addr, area.size)
        k.vmalloc.maps.forget(area)
        if self._large.pop(area.addr, None) is not None:
            k.vmalloc.set_aside(area.addr, area.span, area)
            return
        block = self._block_of(area.addr)
        block.dirty += 1 << (area.size // PAGE_SIZE - 1).bit_length()
        if block.dirty == block.pages:
            self._free(block)

    def _free(self, block: VmapBlock) -> None:
        del self.blocks[block.start]
        self.kernel.vmalloc.set_aside(block.start, block.size, *block.areas)

    def purge_fragmented(self) -> None:
        """``purge_fragmented_blocks()``: give up blocks in which nothing is mapped."""
        for block in [b for b in self.blocks.values() if b.free + b.dirty == b.pages]:
            self._free(block)

    # -- mistakes ---------------------------------------------------------------------------------

    def _check_address(self, address: int) -> None:
        layout = self.kernel.layout
        if not address:
            self._bug("mm/vmalloc.c:2281")
        if address < layout.vmalloc_start:
            self._bug("mm/vmalloc.c:2282")
        if address > layout.vmalloc_end:
            self._bug("mm/vmalloc.c:2283")
        if address % PAGE_SIZE:
            self._bug("mm/vmalloc.c:2284")

    def _bug(self, at: str) -> NoReturn:
        self.kernel.bug("vm-unmap-ram-mismatch", at)

    def _not_mapped(self, mem: Ptr, count: int, area: VmArea | None) -> None:
        k = self.kernel
        if count > self.max_alloc and area is None:
            self._bug("mm/vmalloc.c:2295")
        about = area or k.mem.owner(mem)
        kind = "vfree-double" if area is not None and not area.live else "vm-unmap-ram-mismatch"
        headline = f"BUG: kmock: {kind} in vm_unmap_ram()"
        hint = (
            "" if area is None or not area.live else f"this area is given back with {area.undo}(), not vm_unmap_ram()"
        )
        k.kasan.report_free(kind, "", "vm_unmap_ram", int(mem), about, headline=headline, hint=hint)

    def _mismatch(self, area: VmArea, count: int) -> None:
        k = self.kernel
        headline = "BUG: kmock: vm-unmap-ram-mismatch in vm_unmap_ram()"
        found = k.kasan.report_free("vm-unmap-ram-mismatch", "", "vm_unmap_ram", area.addr, area, headline=headline)
        if found is not None:
            found.lines = (f"unmapped as {count} pages, mapped as {area.size // PAGE_SIZE}", *found.lines)
