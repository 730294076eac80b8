"""``<linux/memblock.h>``: memory in early boot, before the page allocator has it (``mm/memblock.c``).

These calls have their place inside ``with kernel.early_boot():``. Addresses, sizes and alignments are bytes; a physical
address is a number, 0 where there is none. The ``for_each_`` macros are iterables of what C's loop variables hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.current import current
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm import physaddr
from kmock.mm.layout import PAGE_SHIFT
from kmock.mm.memblock import (
    MEMBLOCK_ALLOC_ACCESSIBLE,
    MEMBLOCK_ALLOC_ANYWHERE,
    MEMBLOCK_ALLOC_NOLEAKTRACE,
    MEMBLOCK_DRIVER_MANAGED,
    MEMBLOCK_HOTPLUG,
    MEMBLOCK_MIRROR,
    MEMBLOCK_NOMAP,
    MEMBLOCK_NONE,
    NUMA_NO_NODE,
    FreeRange,
)
from kmock.mm.memblock_type import MAX_NUMNODES, memblock_region, memblock_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmock.lang.ptr import Ptr
    from kmock.machine import Kernel

MEMBLOCK_LOW_LIMIT = 0
ARCH_LOW_ADDRESS_LIMIT = 0xFFFF_FFFF

_ALL_MEMORY = MEMBLOCK_HOTPLUG | MEMBLOCK_DRIVER_MANAGED


class CurrentMemblock:
    """The variable ``memblock`` of the running kernel, to look at."""

    @property
    def memory(self) -> memblock_type:
        """All memory."""
        return current.get().boot_memory.memblock.memory

    @property
    def reserved(self) -> memblock_type:
        """All reservations."""
        return current.get().boot_memory.memblock.reserved

    @property
    def bottom_up(self) -> bool:
        """Whether the lowest free memory is allocated first."""
        return current.get().boot_memory.memblock.bottom_up

    @property
    def current_limit(self) -> int:
        """Where allocations end."""
        return current.get().boot_memory.memblock.current_limit


memblock = CurrentMemblock()


# -- regions ------------------------------------------------------------------------------------------------------


@api(since="2.6.35", undo="memblock_remove", fails=True)
def memblock_add(k: Kernel, base: int, size: int) -> int:
    """Say that the range is memory, of no node yet; what is memory already stays as it is. 0, or -ENOMEM."""
    found = k.boot_memory.at_boot("memblock_add")
    k.boot_memory.note("memblock_add", base, size)
    return found.memory.add(base, size)


@api(since="3.2", undo="memblock_remove", fails=True)
def memblock_add_node(k: Kernel, base: int, size: int, nid: int, flags: int = MEMBLOCK_NONE) -> int:
    """Say that the range is memory of node ``nid``. 0, or -ENOMEM."""
    found = k.boot_memory.at_boot("memblock_add_node")
    k.boot_memory.note("memblock_add_node", base, size, f"nid={nid} flags={flags:x} ")
    return found.memory.add(base, size, nid, flags)


@api(since="2.6.35", undo="memblock_add", fails=True)
def memblock_remove(k: Kernel, base: int, size: int) -> int:
    """Say that the range is no memory. 0, or -ENOMEM."""
    found = k.boot_memory.at_boot("memblock_remove")
    k.boot_memory.note("memblock_remove", base, size)
    return found.memory.remove(base, size)


@api(since="2.6.35", undo="memblock_phys_free", fails=True)
def memblock_reserve(k: Kernel, base: int, size: int) -> int:
    """Keep the range, memory or not, from being allocated and from the page allocator. 0, or -ENOMEM."""
    return k.boot_memory.reserve("memblock_reserve", base, size)


@api(since="2.6.39", fails=True)
def memblock_set_node(k: Kernel, base: int, size: int, type: memblock_type, nid: int) -> int:
    """Say which node the regions of ``type`` (``memblock.memory``) in the range belong to. 0, or -ENOMEM."""
    return k.boot_memory.at_boot("memblock_set_node").set_node(base, size, type, nid)


@api(since="3.13", fails=True)
def memblock_mark_hotplug(k: Kernel, base: int, size: int) -> int:
    """Mark memory that can be pulled out: with ``movable_node`` nothing is allocated from it. 0, or -ENOMEM."""
    return k.boot_memory.at_boot("memblock_mark_hotplug").set_flag(base, size, MEMBLOCK_HOTPLUG, on=True)


@api(since="3.13", fails=True)
def memblock_clear_hotplug(k: Kernel, base: int, size: int) -> int:
    """Undo :func:`memblock_mark_hotplug`. 0, or -ENOMEM."""
    return k.boot_memory.at_boot("memblock_clear_hotplug").set_flag(base, size, MEMBLOCK_HOTPLUG, on=False)


@api(since="4.3", fails=True)
def memblock_mark_mirror(k: Kernel, base: int, size: int) -> int:
    """Mark mirrored memory, which is then taken first; without ``kernelcore=mirror`` nothing happens. 0, or -ENOMEM."""
    return k.boot_memory.at_boot("memblock_mark_mirror").mark_mirror(base, size)


@api(since="4.5", fails=True)
def memblock_mark_nomap(k: Kernel, base: int, size: int) -> int:
    """Mark memory that is to be neither mapped nor allocated. 0, or -ENOMEM."""
    return k.boot_memory.at_boot("memblock_mark_nomap").set_flag(base, size, MEMBLOCK_NOMAP, on=True)


@api(since="4.12", fails=True)
def memblock_clear_nomap(k: Kernel, base: int, size: int) -> int:
    """Undo :func:`memblock_mark_nomap`. 0, or -ENOMEM."""
    return k.boot_memory.at_boot("memblock_clear_nomap").set_flag(base, size, MEMBLOCK_NOMAP, on=False)


@api(since="3.11")
def memblock_trim_memory(k: Kernel, align: int) -> None:
    """Round every region of memory inwards to a multiple of ``align``; one that vanishes is forgotten."""
    k.boot_memory.at_boot("memblock_trim_memory").trim(align)


@api(since="2.6.35")
def memblock_enforce_memory_limit(k: Kernel, memory_limit: int) -> None:
    """Forget all memory and all reservations after the first ``memory_limit`` bytes of memory."""
    k.boot_memory.at_boot("memblock_enforce_memory_limit").enforce_limit(memory_limit)


@api(since="4.16")
def memblock_cap_memory_range(k: Kernel, base: int, size: int) -> None:
    """Forget all memory outside of the range, but what is marked as not to be mapped, and all reservations there."""
    k.boot_memory.at_boot("memblock_cap_memory_range").cap(base, size)


@api(since="4.9")
def memblock_mem_limit_remove_map(k: Kernel, limit: int) -> None:
    """:func:`memblock_enforce_memory_limit` that spares memory which is not mapped."""
    found = k.boot_memory.at_boot("memblock_mem_limit_remove_map")
    if limit and (end := found.address_of(limit)) != MEMBLOCK_ALLOC_ANYWHERE:
        found.cap(0, end)


@api(since="3.5")
def memblock_allow_resize(k: Kernel) -> None:
    """Let full tables move to larger ones. Boot has done that already."""
    k.boot_memory.at_boot("memblock_allow_resize").allow_resize()


# -- allocation ---------------------------------------------------------------------------------------------------


@api(since="4.20", undo="memblock_free", fails=True)
def memblock_alloc(k: Kernel, size: int, align: int) -> Ptr:
    """Return ``size`` zeroed bytes at a multiple of ``align`` (0: a cache line), highest free first; NULL if none."""
    return k.boot_memory.alloc("memblock_alloc", size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE)


@api(since="4.20", undo="memblock_free", fails=True)
def memblock_alloc_raw(k: Kernel, size: int, align: int) -> Ptr:
    """:func:`memblock_alloc` that leaves the bytes as they were."""
    return k.boot_memory.alloc(
        "memblock_alloc_raw", size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE, zero=False
    )


@api(since="4.20", undo="memblock_free", fails=True)
def memblock_alloc_from(k: Kernel, size: int, align: int, min_addr: int) -> Ptr:
    """:func:`memblock_alloc` at ``min_addr`` or above if that is possible."""
    return k.boot_memory.alloc("memblock_alloc_from", size, align, min_addr, MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE)


@api(since="4.20", undo="memblock_free", fails=True)
def memblock_alloc_low(k: Kernel, size: int, align: int) -> Ptr:
    """:func:`memblock_alloc` below 4 GiB."""
    return k.boot_memory.alloc("memblock_alloc_low", size, align, 0, ARCH_LOW_ADDRESS_LIMIT, NUMA_NO_NODE)


@api(since="4.20", undo="memblock_free", fails=True)
def memblock_alloc_node(k: Kernel, size: int, align: int, nid: int) -> Ptr:
    """:func:`memblock_alloc` from node ``nid`` if that is possible."""
    return k.boot_memory.alloc("memblock_alloc_node", size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE, nid)


@api(since="4.20", undo="memblock_free", fails=True)
def memblock_alloc_try_nid(k: Kernel, size: int, align: int, min_addr: int, max_addr: int, nid: int) -> Ptr:
    """Return zeroed bytes that end at ``max_addr`` or before, if possible from ``min_addr`` on and from node ``nid``."""
    return k.boot_memory.alloc("memblock_alloc_try_nid", size, align, min_addr, max_addr, nid)


@api(since="4.20", undo="memblock_free", fails=True)
def memblock_alloc_try_nid_raw(k: Kernel, size: int, align: int, min_addr: int, max_addr: int, nid: int) -> Ptr:
    """:func:`memblock_alloc_try_nid` that leaves the bytes as they were."""
    return k.boot_memory.alloc("memblock_alloc_try_nid_raw", size, align, min_addr, max_addr, nid, zero=False)


@api(since="5.5", undo="memblock_free", fails=True)
def memblock_alloc_exact_nid_raw(k: Kernel, size: int, align: int, min_addr: int, max_addr: int, nid: int) -> Ptr:
    """:func:`memblock_alloc_try_nid_raw` from node ``nid`` and no other."""
    return k.boot_memory.alloc(
        "memblock_alloc_exact_nid_raw", size, align, min_addr, max_addr, nid, exact=True, zero=False
    )


@api(since="4.20", undo="memblock_phys_free", fails=True)
def memblock_phys_alloc(k: Kernel, size: int, align: int) -> int:
    """Return the physical address of ``size`` bytes, which stay as they were; 0 if none are free."""
    return k.boot_memory.phys_alloc("memblock_phys_alloc", size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE)


@api(since="5.8", undo="memblock_phys_free", fails=True)
def memblock_phys_alloc_range(k: Kernel, size: int, align: int, start: int, end: int) -> int:
    """:func:`memblock_phys_alloc` between ``start`` and ``end``."""
    return k.boot_memory.phys_alloc("memblock_phys_alloc_range", size, align, start, end)


@api(since="4.20", undo="memblock_phys_free", fails=True)
def memblock_phys_alloc_try_nid(k: Kernel, size: int, align: int, nid: int) -> int:
    """:func:`memblock_phys_alloc` from node ``nid`` if that is possible."""
    return k.boot_memory.phys_alloc("memblock_phys_alloc_try_nid", size, align, 0, MEMBLOCK_ALLOC_ACCESSIBLE, nid)


@api(since="5.16")
def memblock_free(k: Kernel, ptr: int, size: int) -> None:
    """Give back ``size`` bytes at ``ptr`` of the direct map; nothing happens for NULL."""
    if ptr:
        k.boot_memory.phys_free("memblock_free", physaddr.virt_to_phys(k, ptr), size)


@api(since="5.16", fails=True)
def memblock_phys_free(k: Kernel, base: int, size: int) -> int:
    """Take the range from what is reserved; what is not is left alone. 0, or -ENOMEM."""
    return k.boot_memory.phys_free("memblock_phys_free", base, size)


@api(since="3.13")
def memblock_set_bottom_up(k: Kernel, enable: bool) -> None:
    """Allocate the lowest free memory instead of the highest, or the other way round again."""
    k.boot_memory.at_boot("memblock_set_bottom_up").bottom_up = bool(enable)


@api(since="3.13")
def memblock_bottom_up(k: Kernel) -> bool:
    """Return whether the lowest free memory is allocated first."""
    return k.boot_memory.at_boot("memblock_bottom_up").bottom_up


@api(since="2.6.35")
def memblock_set_current_limit(k: Kernel, limit: int) -> None:
    """Allocate below ``limit`` only, unless a call names another."""
    k.boot_memory.at_boot("memblock_set_current_limit").current_limit = limit


@api(since="4.0")
def memblock_get_current_limit(k: Kernel) -> int:
    """Return the address below which memory is allocated."""
    return k.boot_memory.at_boot("memblock_get_current_limit").current_limit


# -- questions ----------------------------------------------------------------------------------------------------


@api(since="2.6.35")
def memblock_phys_mem_size(k: Kernel) -> int:
    """Return the bytes of all memory."""
    return k.boot_memory.at_boot("memblock_phys_mem_size").memory.total_size


@api(since="4.0")
def memblock_reserved_size(k: Kernel) -> int:
    """Return the bytes of all reservations."""
    return k.boot_memory.at_boot("memblock_reserved_size").reserved.total_size


@api(since="2.6.37")
def memblock_start_of_DRAM(k: Kernel) -> int:
    """Return the lowest address of memory."""
    return k.boot_memory.at_boot("memblock_start_of_DRAM").memory.regions[0].base


@api(since="2.6.35")
def memblock_end_of_DRAM(k: Kernel) -> int:
    """Return the address behind all memory."""
    return k.boot_memory.at_boot("memblock_end_of_DRAM").memory.regions[-1].end


@api(since="2.6.35")
def memblock_is_memory(k: Kernel, addr: int) -> bool:
    """Return whether there is memory at the address."""
    return k.boot_memory.at_boot("memblock_is_memory").memory.search(addr) is not None


@api(since="4.5")
def memblock_is_map_memory(k: Kernel, addr: int) -> bool:
    """Return whether there is memory at the address, and it is mapped."""
    row = k.boot_memory.at_boot("memblock_is_map_memory").memory.search(addr)
    return row is not None and not row.flags & MEMBLOCK_NOMAP


@api(since="2.6.35")
def memblock_is_reserved(k: Kernel, addr: int) -> bool:
    """Return whether the address is reserved."""
    return k.boot_memory.at_boot("memblock_is_reserved").reserved.search(addr) is not None


@api(since="2.6.36")
def memblock_is_region_memory(k: Kernel, base: int, size: int) -> bool:
    """Return whether all of the range lies in one region of memory."""
    row = k.boot_memory.at_boot("memblock_is_region_memory").memory.search(base)
    return row is not None and row.end >= base + size


@api(since="2.6.35")
def memblock_is_region_reserved(k: Kernel, base: int, size: int) -> bool:
    """Return whether any byte of the range is reserved."""
    return k.boot_memory.at_boot("memblock_is_region_reserved").reserved.overlaps(base, size)


@api(since="4.15")
def memblock_overlaps_region(k: Kernel, type: memblock_type, base: int, size: int) -> bool:
    """Return whether any region of ``type`` has a byte of the range."""
    k.boot_memory.at_boot("memblock_overlaps_region")
    return type.overlaps(base, size)


@api(since="3.3")
def memblock_search_pfn_nid(k: Kernel, pfn: int) -> tuple[int, int, int]:
    """Return (node, start_pfn, end_pfn) of the memory that a page frame lies in; (-1, 0, 0) if in none."""
    row = k.boot_memory.at_boot("memblock_search_pfn_nid").memory.search(pfn << PAGE_SHIFT)
    return (row.nid, row.base >> PAGE_SHIFT, row.end >> PAGE_SHIFT) if row is not None else (-1, 0, 0)


@api(since="2.6.35")
def memblock_dump_all(k: Kernel) -> None:
    """Log both tables; only with ``memblock=debug`` on the command line."""
    found = k.boot_memory.at_boot("memblock_dump_all")
    if k.boot_memory.debug:
        k.log.write_all(found.dump())


def memblock_is_hotpluggable(m: memblock_region) -> bool:
    """Return whether the region can be pulled out."""
    return bool(m.flags & MEMBLOCK_HOTPLUG)


def memblock_is_mirror(m: memblock_region) -> bool:
    """Return whether the region is mirrored."""
    return bool(m.flags & MEMBLOCK_MIRROR)


def memblock_is_nomap(m: memblock_region) -> bool:
    """Return whether the region is not to be mapped."""
    return bool(m.flags & MEMBLOCK_NOMAP)


def memblock_is_driver_managed(m: memblock_region) -> bool:
    """Return whether a driver brought the region."""
    return bool(m.flags & MEMBLOCK_DRIVER_MANAGED)


def memblock_get_region_node(r: memblock_region) -> int:
    """Return the node of a region; MAX_NUMNODES if it has none yet."""
    return r.nid


def memblock_region_memory_base_pfn(reg: memblock_region) -> int:
    """Return the first whole page frame of a region of memory."""
    return -(-reg.base >> PAGE_SHIFT)


def memblock_region_memory_end_pfn(reg: memblock_region) -> int:
    """Return the page frame behind the last whole one of a region of memory."""
    return reg.end >> PAGE_SHIFT


def memblock_region_reserved_base_pfn(reg: memblock_region) -> int:
    """Return the first page frame that a reservation touches."""
    return reg.base >> PAGE_SHIFT


def memblock_region_reserved_end_pfn(reg: memblock_region) -> int:
    """Return the page frame behind the last one that a reservation touches."""
    return -(-reg.end >> PAGE_SHIFT)


# -- walks --------------------------------------------------------------------------------------------------------


@api(since="5.10")
def for_each_mem_region(k: Kernel) -> Iterable[memblock_region]:
    """Return the regions of memory, lowest first."""
    return k.boot_memory.at_boot("for_each_mem_region").memory.regions


@api(since="5.10")
def for_each_reserved_mem_region(k: Kernel) -> Iterable[memblock_region]:
    """Return the reservations, lowest first."""
    return k.boot_memory.at_boot("for_each_reserved_mem_region").reserved.regions


@api(since="4.3")
def for_each_mem_range(k: Kernel) -> Iterable[tuple[int, int]]:
    """Return (start, end) of each region of mapped memory, lowest first."""
    found = k.boot_memory.at_boot("for_each_mem_range")
    return [(row.base, row.end) for row in found.memory if found.wanted(row, NUMA_NO_NODE, _ALL_MEMORY)]


@api(since="4.3")
def for_each_mem_range_rev(k: Kernel) -> Iterable[tuple[int, int]]:
    """Return (start, end) of each region of mapped memory, highest first."""
    found = k.boot_memory.at_boot("for_each_mem_range_rev")
    return [(row.base, row.end) for row in reversed(found.memory) if found.wanted(row, NUMA_NO_NODE, _ALL_MEMORY)]


@api(since="5.10")
def for_each_reserved_mem_range(k: Kernel) -> Iterable[tuple[int, int]]:
    """Return (start, end) of each reservation, lowest first."""
    return [(row.base, row.end) for row in k.boot_memory.at_boot("for_each_reserved_mem_range").reserved]


@api(since="3.0")
def for_each_free_mem_range(k: Kernel, nid: int = NUMA_NO_NODE, flags: int = MEMBLOCK_NONE) -> Iterable[FreeRange]:
    """Return (start, end, nid) of memory that is not reserved, lowest first; NUMA_NO_NODE stands for all nodes."""
    return [*k.boot_memory.at_boot("for_each_free_mem_range").free_ranges(nid, flags)]


@api(since="3.2")
def for_each_free_mem_range_reverse(
    k: Kernel, nid: int = NUMA_NO_NODE, flags: int = MEMBLOCK_NONE
) -> Iterable[FreeRange]:
    """Return (start, end, nid) of memory that is not reserved, highest first."""
    return [*k.boot_memory.at_boot("for_each_free_mem_range_reverse").free_ranges_down(nid, flags)]


@api(since="3.3")
def for_each_mem_pfn_range(k: Kernel, nid: int = MAX_NUMNODES) -> Iterable[FreeRange]:
    """Return (start_pfn, end_pfn, nid) of the whole pages of each region; MAX_NUMNODES stands for all nodes."""
    return [*k.boot_memory.at_boot("for_each_mem_pfn_range").pfn_ranges(nid)]


__getattr__ = header_getattr(__name__)
__all__ = [
    "ARCH_LOW_ADDRESS_LIMIT",
    "MAX_NUMNODES",
    "MEMBLOCK_ALLOC_ACCESSIBLE",
    "MEMBLOCK_ALLOC_ANYWHERE",
    "MEMBLOCK_ALLOC_NOLEAKTRACE",
    "MEMBLOCK_DRIVER_MANAGED",
    "MEMBLOCK_HOTPLUG",
    "MEMBLOCK_LOW_LIMIT",
    "MEMBLOCK_MIRROR",
    "MEMBLOCK_NOMAP",
    "MEMBLOCK_NONE",
    "NUMA_NO_NODE",
    "for_each_free_mem_range",
    "for_each_free_mem_range_reverse",
    "for_each_mem_pfn_range",
    "for_each_mem_range",
    "for_each_mem_range_rev",
    "for_each_mem_region",
    "for_each_reserved_mem_range",
    "for_each_reserved_mem_region",
    "memblock",
    "memblock_add",
    "memblock_add_node",
    "memblock_alloc",
    "memblock_alloc_exact_nid_raw",
    "memblock_alloc_from",
    "memblock_alloc_low",
    "memblock_alloc_node",
    "memblock_alloc_raw",
    "memblock_alloc_try_nid",
    "memblock_alloc_try_nid_raw",
    "memblock_allow_resize",
    "memblock_bottom_up",
    "memblock_cap_memory_range",
    "memblock_clear_hotplug",
    "memblock_clear_nomap",
    "memblock_dump_all",
    "memblock_end_of_DRAM",
    "memblock_enforce_memory_limit",
    "memblock_free",
    "memblock_get_current_limit",
    "memblock_get_region_node",
    "memblock_is_driver_managed",
    "memblock_is_hotpluggable",
    "memblock_is_map_memory",
    "memblock_is_memory",
    "memblock_is_mirror",
    "memblock_is_nomap",
    "memblock_is_region_memory",
    "memblock_is_region_reserved",
    "memblock_is_reserved",
    "memblock_mark_hotplug",
    "memblock_mark_mirror",
    "memblock_mark_nomap",
    "memblock_mem_limit_remove_map",
    "memblock_overlaps_region",
    "memblock_phys_alloc",
    "memblock_phys_alloc_range",
    "memblock_phys_alloc_try_nid",
    "memblock_phys_free",
    "memblock_phys_mem_size",
    "memblock_region",
    "memblock_region_memory_base_pfn",
    "memblock_region_memory_end_pfn",
    "memblock_region_reserved_base_pfn",
    "memblock_region_reserved_end_pfn",
    "memblock_remove",
    "memblock_reserve",
    "memblock_reserved_size",
    "memblock_search_pfn_nid",
    "memblock_set_bottom_up",
    "memblock_set_current_limit",
    "memblock_set_node",
    "memblock_start_of_DRAM",
    "memblock_trim_memory",
    "memblock_type",
]
