"""The allocator of early boot before memblock (``mm/bootmem.c`` until 4.19), on top of memblock.

It knows whole pages: an allocation shares its pages only with other allocations, and a release gives back only pages
that it covers. Physical addresses and sizes are bytes.
"""

from __future__ import annotations

from errno import EBUSY
from typing import TYPE_CHECKING, Final, NoReturn

from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.memblock import NUMA_NO_NODE
from kmock.mm.page_addr import null
from kmock.mm.zone_layout import DMA_LIMIT

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.mm.boot_memory import BootMemory

BOOTMEM_DEFAULT: Final = 0
BOOTMEM_EXCLUSIVE: Final = 1
LOW_LIMIT: Final = 0xFFFF_FFFF
"""``ARCH_LOW_ADDRESS_LIMIT``."""
GOAL: Final = DMA_LIMIT
"""``__pa(MAX_DMA_ADDRESS)``: what lies below is for devices that reach no further."""


def alloc(
    boot: BootMemory,
    call: str,
    size: int,
    align: int,
    goal: int,
    nid: int = NUMA_NO_NODE,
    limit: int = 0,
    *,
    panics: bool = True,
) -> Ptr:
    """``__alloc_bootmem()``: return zeroed bytes, the lowest free ones from ``goal`` on, or else the lowest of all.

    Below ``limit`` unless that is 0. The machine stops where there are none, or NULL comes back without ``panics``.
    """
    k = boot.kernel
    if not size:
        k.bug("bootmem-zero-size", "mm/bootmem.c", headlines=["__alloc_bootmem_core(): zero-sized request"])
    if not boot.early:
        return boot.alloc(call, size, align, goal, limit, nid)
    memblock = boot.memblock
    direction, memblock.bottom_up = memblock.bottom_up, True
    end = min(limit or memblock.current_limit, memblock.current_limit)
    found = boot.find(size, align, goal, end, nid) or boot.find(size, align, 0, end, nid)
    memblock.bottom_up = direction
    if not found:
        if not panics:
            return null(call, size)
        k.log.write(f"bootmem alloc of {size} bytes failed!")
        k.panic("Out of memory")
    return boot.given(call, found, size)


def free(boot: BootMemory, call: str, physaddr: int, size: int, nid: int = NUMA_NO_NODE) -> None:
    """``free_bootmem()``: give back the pages that lie wholly in the range. BUG where one is not reserved."""
    memblock = boot.at_boot(call)
    if not boot.early:
        return
    if not size:
        boot.kernel.bug("bootmem-zero-size", "mm/bootmem.c")
    start, end = -(-physaddr >> PAGE_SHIFT), physaddr + size >> PAGE_SHIFT
    if end > boot.memory_end() or (nid != NUMA_NO_NODE and not _within(boot, nid, start, end)):
        _bug(boot)
    for pfn in range(start, end):
        if not memblock.reserved.overlaps(pfn << PAGE_SHIFT, PAGE_SIZE):
            _bug(boot)
    boot.disown(physaddr, size)
    memblock.reserved.remove(start << PAGE_SHIFT, max(end - start, 0) << PAGE_SHIFT)


def _within(boot: BootMemory, nid: int, start: int, end: int) -> bool:
    node = boot.nodes[nid]
    return node.node_start_pfn <= start and end <= node.node_start_pfn + node.node_spanned_pages


def _bug(boot: BootMemory) -> NoReturn:
    boot.kernel.bug("bootmem-free-bad", "mm/bootmem.c")


def reserve(boot: BootMemory, call: str, physaddr: int, size: int, flags: int) -> int:
    """``reserve_bootmem()``: keep all pages that the range touches; -EBUSY if one is taken and ``flags`` say exclusive."""
    start = physaddr & -PAGE_SIZE
    length = -(-(physaddr + size) // PAGE_SIZE) * PAGE_SIZE - start
    if not size:
        boot.kernel.bug("bootmem-zero-size", "mm/bootmem.c")
    if flags & BOOTMEM_EXCLUSIVE and boot.memblock.reserved.overlaps(start, length):
        return -EBUSY
    return boot.reserve(call, start, length)


def init(boot: BootMemory, call: str, start: int, end: int) -> int:
    """``init_bootmem_core()``: begin with all page frames [start, end) reserved; return the bytes of the bitmap."""
    memblock = boot.at_boot(call)
    memblock.reserved.remove(start << PAGE_SHIFT, end - start << PAGE_SHIFT)
    memblock.reserved.add(start << PAGE_SHIFT, end - start << PAGE_SHIFT)
    boot.blank = True
    return bitmap_bytes(end - start)


def bitmap_bytes(pages: int) -> int:
    """``bootmap_bytes()``: a bit for each page, in whole longs."""
    return -(-pages // 64) * 8


def free_ranges(boot: BootMemory, nid: int, max_low_pfn: int) -> None:
    """``free_bootmem_with_active_regions()``: give back all memory of a node below ``max_low_pfn``."""
    memblock = boot.at_boot("free_bootmem_with_active_regions")
    if not boot.early:
        return
    if not boot.blank:
        boot.report("bootmem-refreed", ["what was reserved before, such as the kernel's image, is free now"])
    for start, end, _ in [*memblock.pfn_ranges(nid)]:
        low, high = start << PAGE_SHIFT, min(end, max_low_pfn) << PAGE_SHIFT
        if low < high:
            boot.disown(low, high - low)
            memblock.reserved.remove(low, high - low)
