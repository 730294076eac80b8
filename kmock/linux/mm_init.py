"""Page frames of nodes and the zones made of them: the part of ``<linux/mm.h>`` that early boot uses.

C has these in ``<linux/mm.h>`` and ``mm/internal.h``; :mod:`kmock.linux.mm` offers them too. Ranges are page frames
[start, end). Those marked so have their place inside ``with kernel.early_boot():``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.mm import bootmem, mm_init

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kmock.linux.nodemask import nodemask_t
    from kmock.machine import Kernel


@api(since="2.6.19", until="3.2", replaced_by="memblock_add_node", undo="remove_active_range")
def add_active_range(k: Kernel, nid: int, start_pfn: int, end_pfn: int) -> None:
    """In early boot: say that page frames are memory of a node. What is memory already stays as it is."""
    mm_init.add_range(k.boot_memory, nid, start_pfn, end_pfn)


@api(since="2.6.27", until="3.2", replaced_by="memblock_remove", undo="add_active_range")
def remove_active_range(k: Kernel, nid: int, start_pfn: int, end_pfn: int) -> None:
    """In early boot: say that page frames are no memory of the node."""
    mm_init.remove_range(k.boot_memory, "remove_active_range", nid, start_pfn, end_pfn)


@api(since="2.6.19", until="2.6.26", replaced_by="remove_active_range")
def shrink_active_range(k: Kernel, nid: int, new_end_pfn: int) -> None:
    """In early boot: say that the node's memory ends at a page frame."""
    _, end = mm_init.pfn_range(k.boot_memory, nid)
    mm_init.remove_range(k.boot_memory, "shrink_active_range", nid, new_end_pfn, max(end, new_end_pfn))


@api(since="2.6.19", until="3.2")
def remove_all_active_ranges(k: Kernel) -> None:
    """In early boot: say that there is no memory at all."""
    memory = k.boot_memory.at_boot("remove_all_active_ranges").memory
    memory.delete(range(len(memory)))


@api(since="2.6.19", until="5.15", replaced_by="memblock_start_of_DRAM")
def find_min_pfn_with_active_regions(k: Kernel) -> int:
    """In early boot: return the first page frame of memory; 0, and a message, if there is none."""
    k.boot_memory.at_boot("find_min_pfn_with_active_regions")
    return mm_init.lowest_pfn(k.boot_memory)


@api(since="2.6.19")
def get_pfn_range_for_nid(k: Kernel, nid: int) -> tuple[int, int]:
    """In early boot: return (start_pfn, end_pfn) of a node, holes included; (0, 0) for one without memory.

    MAX_NUMNODES stands for all nodes.
    """
    k.boot_memory.at_boot("get_pfn_range_for_nid")
    return mm_init.pfn_range(k.boot_memory, nid)


@api(since="2.6.19")
def absent_pages_in_range(k: Kernel, start_pfn: int, end_pfn: int) -> int:
    """In early boot: return how many page frames of the range are no memory."""
    k.boot_memory.at_boot("absent_pages_in_range")
    return mm_init.absent_pages(k.boot_memory, start_pfn, end_pfn)


@api(since="2.6.19", until="5.2")
def free_bootmem_with_active_regions(k: Kernel, nid: int, max_low_pfn: int) -> None:
    """In early boot, before anything is reserved: give back all of a node's memory below ``max_low_pfn``.

    MAX_NUMNODES stands for all nodes.
    """
    bootmem.free_ranges(k.boot_memory, nid, max_low_pfn)


@api(since="2.6.19", until="5.8")
def sparse_memory_present_with_active_regions(k: Kernel, nid: int) -> None:
    """In early boot: have a memory map for every section that the node has memory in."""
    boot = k.boot_memory
    boot.at_boot("sparse_memory_present_with_active_regions")
    boot.sections |= mm_init.sections_of(boot, nid)


@api(since="2.6.19", until="5.7", replaced_by="free_area_init")
def free_area_init_nodes(k: Kernel, max_zone_pfn: Sequence[int]) -> None:
    """In early boot, once: make zones that end at these page frames, lowest zone first."""
    mm_init.init_zones(k.boot_memory, max_zone_pfn, "free_area_init_nodes")


@api(since="5.8")
def free_area_init(k: Kernel, max_zone_pfn: Sequence[int]) -> None:
    """In early boot, once: make zones that end at these page frames, lowest zone first."""
    mm_init.init_zones(k.boot_memory, max_zone_pfn, "free_area_init")


@api(since="2.6.19")
def set_dma_reserve(k: Kernel, new_dma_reserve: int) -> None:
    """In early boot: leave so many pages of the first zone out of account when watermarks are computed."""
    boot = k.boot_memory
    boot.at_boot("set_dma_reserve")
    if boot.zones_made:
        boot.report("bootmem-late", ["set_dma_reserve() after the zones were made"], key="set_dma_reserve")
    boot.dma_reserve = new_dma_reserve


@api(since="2.6.31")
def setup_per_zone_wmarks(k: Kernel) -> None:
    """Compute the watermarks of every zone anew from ``vm.min_free_kbytes``."""
    k.page_alloc.zones.setup_watermarks()


@api(since="2.6.0")
def find_next_best_node(k: Kernel, node: int, used_node_mask: nodemask_t) -> int:
    """Return the nearest node with memory that is not in the mask, and put it there; NUMA_NO_NODE if all are."""
    return k.page_alloc.zones.next_best_node(node, used_node_mask)


__getattr__ = header_getattr(__name__)
__all__ = [
    "absent_pages_in_range",
    "add_active_range",
    "find_min_pfn_with_active_regions",
    "find_next_best_node",
    "free_area_init",
    "free_area_init_nodes",
    "free_bootmem_with_active_regions",
    "get_pfn_range_for_nid",
    "remove_active_range",
    "remove_all_active_ranges",
    "set_dma_reserve",
    "setup_per_zone_wmarks",
    "shrink_active_range",
    "sparse_memory_present_with_active_regions",
]
