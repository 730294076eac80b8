"""``<linux/bootmem.h>``: memory in early boot, until memblock replaced it in 4.20 (``mm/bootmem.c``).

These calls have their place inside ``with kernel.early_boot():``. Sizes are bytes, and so are alignments and goals, which
are physical addresses. What is allocated is zeroed; where there is none the machine stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.mmzone import NODE_DATA, pglist_data
from kmock.mm import bootmem
from kmock.mm.bootmem import BOOTMEM_DEFAULT, BOOTMEM_EXCLUSIVE
from kmock.mm.layout import PAGE_SHIFT, PAGE_SIZE
from kmock.mm.memblock import SMP_CACHE_BYTES

if TYPE_CHECKING:
    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel


# -- allocation ---------------------------------------------------------------------------------------------------


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc", undo="free_bootmem")
def alloc_bootmem(k: Kernel, x: int) -> Ptr:
    """Return ``x`` zeroed bytes, aligned to a cache line, above what old devices can reach if possible."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem", x, SMP_CACHE_BYTES, bootmem.GOAL)


@api(since="3.2", until="4.19", replaced_by="memblock_alloc", undo="free_bootmem")
def alloc_bootmem_align(k: Kernel, x: int, align: int) -> Ptr:
    """:func:`alloc_bootmem` at a multiple of ``align``."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_align", x, align, bootmem.GOAL)


@api(since="2.6.24", until="4.19", replaced_by="memblock_alloc", undo="free_bootmem", fails=True)
def alloc_bootmem_nopanic(k: Kernel, x: int) -> Ptr:
    """:func:`alloc_bootmem` that returns NULL where there is no memory."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_nopanic", x, SMP_CACHE_BYTES, bootmem.GOAL, panics=False)


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc", undo="free_bootmem")
def alloc_bootmem_pages(k: Kernel, x: int) -> Ptr:
    """:func:`alloc_bootmem` that begins at a page."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_pages", x, PAGE_SIZE, bootmem.GOAL)


@api(since="2.6.24", until="4.19", replaced_by="memblock_alloc", undo="free_bootmem", fails=True)
def alloc_bootmem_pages_nopanic(k: Kernel, x: int) -> Ptr:
    """:func:`alloc_bootmem_pages` that returns NULL where there is no memory."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_pages_nopanic", x, PAGE_SIZE, bootmem.GOAL, panics=False)


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc_low", undo="free_bootmem")
def alloc_bootmem_low(k: Kernel, x: int) -> Ptr:
    """:func:`alloc_bootmem` from the lowest free memory, always below 4 GiB."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_low", x, SMP_CACHE_BYTES, 0, limit=bootmem.LOW_LIMIT)


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc_low", undo="free_bootmem")
def alloc_bootmem_low_pages(k: Kernel, x: int) -> Ptr:
    """:func:`alloc_bootmem_low` that begins at a page."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_low_pages", x, PAGE_SIZE, 0, limit=bootmem.LOW_LIMIT)


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc_node", undo="free_bootmem_node")
def alloc_bootmem_node(k: Kernel, pgdat: pglist_data, x: int) -> Ptr:
    """:func:`alloc_bootmem` from the node ``NODE_DATA(nid)``, from another if that has none."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_node", x, SMP_CACHE_BYTES, bootmem.GOAL, pgdat.node_id)


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc_node", undo="free_bootmem_node")
def alloc_bootmem_pages_node(k: Kernel, pgdat: pglist_data, x: int) -> Ptr:
    """:func:`alloc_bootmem_node` that begins at a page."""
    return bootmem.alloc(k.boot_memory, "alloc_bootmem_pages_node", x, PAGE_SIZE, bootmem.GOAL, pgdat.node_id)


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc_node", undo="free_bootmem_node")
def alloc_bootmem_low_pages_node(k: Kernel, pgdat: pglist_data, x: int) -> Ptr:
    """:func:`alloc_bootmem_low_pages` from the node, from another if that has none."""
    return bootmem.alloc(
        k.boot_memory, "alloc_bootmem_low_pages_node", x, PAGE_SIZE, 0, pgdat.node_id, bootmem.LOW_LIMIT
    )


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc_from", undo="free_bootmem")
def __alloc_bootmem(k: Kernel, size: int, align: int, goal: int) -> Ptr:
    """Return zeroed bytes at a multiple of ``align``, at ``goal`` or above if possible."""
    return bootmem.alloc(k.boot_memory, "__alloc_bootmem", size, align, goal)


@api(since="2.6.24", until="4.19", replaced_by="memblock_alloc_from", undo="free_bootmem", fails=True)
def __alloc_bootmem_nopanic(k: Kernel, size: int, align: int, goal: int) -> Ptr:
    """:func:`__alloc_bootmem` that returns NULL where there is no memory."""
    return bootmem.alloc(k.boot_memory, "__alloc_bootmem_nopanic", size, align, goal, panics=False)


@api(since="2.6.18", until="4.19", replaced_by="memblock_alloc_low", undo="free_bootmem")
def __alloc_bootmem_low(k: Kernel, size: int, align: int, goal: int) -> Ptr:
    """:func:`__alloc_bootmem` below 4 GiB."""
    return bootmem.alloc(k.boot_memory, "__alloc_bootmem_low", size, align, goal, limit=bootmem.LOW_LIMIT)


@api(since="2.3.20", until="4.19", replaced_by="memblock_alloc_try_nid", undo="free_bootmem_node")
def __alloc_bootmem_node(k: Kernel, pgdat: pglist_data, size: int, align: int, goal: int) -> Ptr:
    """:func:`__alloc_bootmem` from the node, from another if that has none."""
    return bootmem.alloc(k.boot_memory, "__alloc_bootmem_node", size, align, goal, pgdat.node_id)


# -- release and reservation --------------------------------------------------------------------------------------


@api(since="2.3.20", until="4.19", replaced_by="memblock_phys_free")
def free_bootmem(k: Kernel, physaddr: int, size: int) -> None:
    """Give back the whole pages in a physical range; partial ones at its ends stay reserved."""
    bootmem.free(k.boot_memory, "free_bootmem", physaddr, size)


@api(since="2.3.20", until="4.19", replaced_by="memblock_phys_free")
def free_bootmem_node(k: Kernel, pgdat: pglist_data, physaddr: int, size: int) -> None:
    """:func:`free_bootmem` of a range that lies in the node."""
    bootmem.free(k.boot_memory, "free_bootmem_node", physaddr, size, pgdat.node_id)


@api(since="2.3.20", until="4.19", replaced_by="memblock_reserve", undo="free_bootmem", fails=True)
def reserve_bootmem(k: Kernel, physaddr: int, size: int, flags: int = BOOTMEM_DEFAULT) -> int:
    """Keep every page that the range touches. 0, or -EBUSY if one is taken and ``flags`` has BOOTMEM_EXCLUSIVE."""
    return bootmem.reserve(k.boot_memory, "reserve_bootmem", physaddr, size, flags)


@api(since="2.3.20", until="4.19", replaced_by="memblock_reserve", undo="free_bootmem_node", fails=True)
def reserve_bootmem_node(k: Kernel, pgdat: pglist_data, physaddr: int, size: int, flags: int = BOOTMEM_DEFAULT) -> int:
    """:func:`reserve_bootmem`; the range lies in the node."""
    return bootmem.reserve(k.boot_memory, "reserve_bootmem_node", physaddr, size, flags)


@api(since="2.3.20", until="4.19")
def init_bootmem(k: Kernel, start: int, pages: int) -> int:
    """Begin with all page frames below ``pages`` reserved; the map of them is at ``start``. Return its bytes."""
    return bootmem.init(k.boot_memory, "init_bootmem", 0, pages)


@api(since="2.3.20", until="4.19")
def init_bootmem_node(k: Kernel, pgdat: pglist_data, freepfn: int, startpfn: int, endpfn: int) -> int:
    """Begin with a node's page frames [startpfn, endpfn) reserved. Return the bytes of their map."""
    return bootmem.init(k.boot_memory, "init_bootmem_node", startpfn, endpfn)


@api(since="2.3.20", until="4.19")
def bootmem_bootmap_pages(k: Kernel, pages: int) -> int:
    """Return how many pages the map of so many pages takes."""
    return -(-bootmem.bitmap_bytes(pages) // PAGE_SIZE)


@api(since="2.3.20", until="4.19")
def max_low_pfn(k: Kernel) -> int:
    """Return the page frame behind the last one of low memory: C's variable."""
    return k.boot_memory.memory_end()


@api(since="2.3.20", until="4.19")
def min_low_pfn(k: Kernel) -> int:
    """Return the first page frame of memory: C's variable."""
    return k.boot_memory.memblock.memory.regions[0].base >> PAGE_SHIFT


__getattr__ = header_getattr(__name__)
__all__ = [
    "BOOTMEM_DEFAULT",
    "BOOTMEM_EXCLUSIVE",
    "NODE_DATA",
    "SMP_CACHE_BYTES",
    "__alloc_bootmem",
    "__alloc_bootmem_low",
    "__alloc_bootmem_node",
    "__alloc_bootmem_nopanic",
    "alloc_bootmem",
    "alloc_bootmem_align",
    "alloc_bootmem_low",
    "alloc_bootmem_low_pages",
    "alloc_bootmem_low_pages_node",
    "alloc_bootmem_node",
    "alloc_bootmem_nopanic",
    "alloc_bootmem_pages",
    "alloc_bootmem_pages_node",
    "alloc_bootmem_pages_nopanic",
    "bootmem_bootmap_pages",
    "free_bootmem",
    "free_bootmem_node",
    "init_bootmem",
    "init_bootmem_node",
    "max_low_pfn",
    "min_low_pfn",
    "pglist_data",
    "reserve_bootmem",
    "reserve_bootmem_node",
]
