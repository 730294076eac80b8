"""<linux/memblock.h>: what is memory, what is reserved, and what is allocated of it, while the machine boots."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.errno import ENOMEM
from kmock.linux.io import phys_to_virt
from kmock.linux.memblock import (
    MAX_NUMNODES,
    MEMBLOCK_ALLOC_ANYWHERE,
    MEMBLOCK_HOTPLUG,
    NUMA_NO_NODE,
    for_each_free_mem_range,
    for_each_free_mem_range_reverse,
    for_each_mem_pfn_range,
    for_each_mem_range,
    for_each_mem_range_rev,
    for_each_mem_region,
    for_each_reserved_mem_range,
    for_each_reserved_mem_region,
    memblock,
    memblock_add,
    memblock_add_node,
    memblock_alloc,
    memblock_alloc_exact_nid_raw,
    memblock_alloc_from,
    memblock_alloc_low,
    memblock_alloc_node,
    memblock_alloc_raw,
    memblock_alloc_try_nid,
    memblock_alloc_try_nid_raw,
    memblock_allow_resize,
    memblock_bottom_up,
    memblock_cap_memory_range,
    memblock_clear_hotplug,
    memblock_clear_nomap,
    memblock_dump_all,
    memblock_end_of_DRAM,
    memblock_enforce_memory_limit,
    memblock_free,
    memblock_get_current_limit,
    memblock_get_region_node,
    memblock_is_driver_managed,
    memblock_is_hotpluggable,
    memblock_is_map_memory,
    memblock_is_memory,
    memblock_is_mirror,
    memblock_is_nomap,
    memblock_is_region_memory,
    memblock_is_region_reserved,
    memblock_is_reserved,
    memblock_mark_hotplug,
    memblock_mark_mirror,
    memblock_mark_nomap,
    memblock_mem_limit_remove_map,
    memblock_overlaps_region,
    memblock_phys_alloc,
    memblock_phys_alloc_range,
    memblock_phys_alloc_try_nid,
    memblock_phys_free,
    memblock_phys_mem_size,
    memblock_region_memory_base_pfn,
    memblock_region_memory_end_pfn,
    memblock_region_reserved_base_pfn,
    memblock_region_reserved_end_pfn,
    memblock_remove,
    memblock_reserve,
    memblock_reserved_size,
    memblock_search_pfn_nid,
    memblock_set_bottom_up,
    memblock_set_current_limit,
    memblock_set_node,
    memblock_start_of_DRAM,
    memblock_trim_memory,
)
from kmock.linux.page import __pa, pfn_to_page
from kmock.linux.page_flags import PageReserved
from kmock.linux.slab import kfree

MB = 1 << 20
B = 16 * MB
ALL = MEMBLOCK_ALLOC_ANYWHERE


@pytest.fixture
def k():
    with kmock.boot(nodes=2) as k:
        yield k
        assert [str(r) for r in k.reports] == []


@pytest.fixture
def empty(k):
    """Early boot with 16 MiB of memory from B on, and nothing reserved."""
    with k.early_boot():
        own = k.boot_memory.memblock.copy()
        memblock_remove(0, ALL)
        memblock_phys_free(0, ALL)
        memblock_add(B, 16 * MB)
        yield k
        k.boot_memory.memblock = own


def rows(of):
    return [(row.base, row.size, row.nid, row.flags) for row in of]


def test_boot_knows_the_machines_memory_and_what_the_kernel_took(k):
    with k.early_boot():
        assert memblock_start_of_DRAM() == 0x1000
        assert memblock_end_of_DRAM() == 64 * MB - 33 * 4096
        assert memblock_phys_mem_size() == sum(row.size for row in memblock.memory)
        assert memblock_reserved_size() == sum(row.size for row in memblock.reserved)
        assert memblock_is_reserved(0x100_0000)
        assert memblock_search_pfn_nid(0x3000) == (1, 0x2000, 0x3FDF)
        assert memblock_search_pfn_nid(0xA0) == (-1, 0, 0)


def test_what_early_boot_allocates_stays_its_owners(k):
    with k.early_boot():
        free = sum(end - start for start, end, _ in for_each_free_mem_range())
        table = memblock_alloc(3 * 4096, 4096)
        table[0:4] = b"abcd"
        given_back = memblock_alloc(4096, 4096)
        memblock_free(given_back, 4096)
    assert sum(zone.managed_pages for zone in k.page_alloc.zones.all) == (free >> 12) - 3
    assert table[0:5] == b"abcd\0"
    assert PageReserved(pfn_to_page(__pa(table) >> 12))
    assert not PageReserved(pfn_to_page(__pa(given_back) >> 12))


def test_memory_that_boot_forgets_is_nobodys(k):
    with k.early_boot():
        memblock_enforce_memory_limit(32 * MB)
        end = memblock_end_of_DRAM()
    assert end < 34 * MB
    assert max(zone.span[1] for zone in k.page_alloc.zones.all) == end >> 12
    assert k.memmap.zone_of(0x3000) is None


def test_add_and_remove(empty):
    assert memblock_add_node(B + 32 * MB, MB, 1, MEMBLOCK_HOTPLUG) == 0
    assert memblock_add(B + 16 * MB, MB) == 0
    assert rows(memblock.memory) == [
        (B, 17 * MB, MAX_NUMNODES, 0),
        (B + 32 * MB, MB, 1, MEMBLOCK_HOTPLUG),
    ]
    assert memblock_remove(B + MB, MB) == 0
    assert [row.base for row in for_each_mem_region()] == [B, B + 2 * MB, B + 32 * MB]
    assert for_each_mem_range() == [(B, B + MB), (B + 2 * MB, B + 17 * MB), (B + 32 * MB, B + 33 * MB)]
    assert for_each_mem_range_rev() == for_each_mem_range()[::-1]


def test_nothing_is_added_for_size_0_and_the_end_of_addresses_is_minded(empty):
    assert memblock_add(B + 40 * MB, 0) == 0
    assert memblock.memory.cnt == 1
    memblock_reserve(ALL - 4096, 8192)
    assert rows(memblock.reserved) == [(ALL - 4096, 4096, MAX_NUMNODES, 0)]


def test_nodes_split_regions_and_join_them_again(empty):
    assert memblock_set_node(B, 4 * MB, memblock.memory, 0) == 0
    assert [memblock_get_region_node(row) for row in for_each_mem_region()] == [0, MAX_NUMNODES]
    memblock_set_node(0, ALL, memblock.memory, 1)
    assert rows(memblock.memory) == [(B, 16 * MB, 1, 0)]
    assert for_each_mem_pfn_range(1) == [(B >> 12, B + 16 * MB >> 12, 1)]
    assert for_each_mem_pfn_range(0) == []


def test_page_frames_of_a_region_are_whole_ones(empty):
    memblock_add(B + 20 * MB + 1, 8192)
    memblock_add(B + 21 * MB + 1, 4096)
    assert for_each_mem_pfn_range()[1:] == [(B + 20 * MB + 4096 >> 12, B + 20 * MB + 8192 >> 12, MAX_NUMNODES)]
    odd = memblock.memory.regions[1]
    assert (memblock_region_memory_base_pfn(odd), memblock_region_memory_end_pfn(odd)) == (0x2401, 0x2402)
    assert (memblock_region_reserved_base_pfn(odd), memblock_region_reserved_end_pfn(odd)) == (0x2400, 0x2403)


def test_marks(empty):
    memblock_mark_hotplug(B, MB)
    memblock_mark_nomap(B + 4 * MB, MB)
    assert memblock_mark_mirror(B + 8 * MB, MB) == 0
    first, _, third, _ = for_each_mem_region()
    assert memblock_is_hotpluggable(first)
    assert memblock_is_nomap(third)
    assert not memblock_is_driver_managed(third)
    assert memblock_is_memory(B + 4 * MB)
    assert not memblock_is_map_memory(B + 4 * MB)
    memblock_clear_hotplug(0, ALL)
    memblock_clear_nomap(0, ALL)
    assert memblock.memory.cnt == 1


def test_mirrored_memory_is_taken_first():
    with kmock.boot(cmdline="kernelcore=mirror") as k, k.early_boot():
        memblock_mark_mirror(8 * MB, MB)
        assert memblock_is_mirror(memblock.memory.search(8 * MB))
        assert 8 * MB <= memblock_phys_alloc(MB, 4096) < 9 * MB
        elsewhere = memblock_phys_alloc(MB, 4096)
        assert elsewhere > 9 * MB
        assert "Could not allocate 0x0000000000100000 bytes of mirrored memory" in k.dmesg()


def test_movable_node_spares_memory_that_can_be_pulled_out():
    with kmock.boot(cmdline="movable_node") as k, k.early_boot():
        memblock_mark_hotplug(32 * MB, ALL)
        assert memblock_phys_alloc(4096, 4096) < 32 * MB


def test_questions(empty):
    memblock_reserve(B + MB, MB)
    assert memblock_is_region_memory(B, 16 * MB)
    assert not memblock_is_region_memory(B, 17 * MB)
    assert not memblock_is_region_memory(B - 1, 1)
    assert memblock_is_region_reserved(B, MB + 1)
    assert not memblock_is_region_reserved(B, MB)
    assert memblock_overlaps_region(memblock.reserved, B + 2 * MB - 1, 1)
    assert for_each_reserved_mem_range() == [(B + MB, B + 2 * MB)]
    assert [row.size for row in for_each_reserved_mem_region()] == [MB]
    free = for_each_free_mem_range()
    assert [(start, end) for start, end, _ in free] == [(B, B + MB), (B + 2 * MB, B + 16 * MB)]
    assert for_each_free_mem_range_reverse() == free[::-1]


def test_flavours_of_allocation(empty):
    assert __pa(memblock_alloc_low(64, 64)) == B + 16 * MB - 64
    assert __pa(memblock_alloc_from(64, 64, B + 8 * MB)) == B + 16 * MB - 128
    assert __pa(memblock_alloc_node(64, 64, 1)) == B + 16 * MB - 192
    assert memblock_phys_alloc_try_nid(64, 64, 1) == B + 16 * MB - 256
    assert memblock_phys_alloc_range(64, 64, B, B + MB) == B + MB - 64
    assert memblock_phys_alloc_range(MB, 64, B, B + MB) == 0
    assert not memblock_alloc_exact_nid_raw(64, 64, 0, 0, 1)
    assert __pa(memblock_alloc_try_nid(64, 64, B + 15 * MB, B + MB, 0)) == B + MB - 128
    phys_to_virt(B)[0:16] = b"\xaa" * 16
    memblock_set_bottom_up(True)
    assert memblock_bottom_up()
    assert memblock_alloc_try_nid_raw(8, 8, 0, 0, NUMA_NO_NODE)[0] == 0xAA
    assert memblock_alloc_raw(8, 8)[0] == 0xAA
    assert memblock_alloc(8, 8)[0] == 0


def test_the_current_limit_holds_where_a_call_names_none(empty):
    memblock_set_current_limit(B + MB)
    assert memblock_get_current_limit() == memblock.current_limit == B + MB
    assert __pa(memblock_alloc(4096, 4096)) == B + MB - 4096
    assert memblock_phys_alloc_range(4096, 4096, 0, ALL) == B + 16 * MB - 4096


def test_limits_and_trimming(empty):
    memblock_add(B + 32 * MB, 100)
    memblock_trim_memory(4096)
    assert rows(memblock.memory) == [(B, 16 * MB, MAX_NUMNODES, 0)]
    memblock_mark_nomap(B + 12 * MB, MB)
    memblock_mem_limit_remove_map(8 * MB)
    assert [(row.base, row.size) for row in memblock.memory] == [(B, 8 * MB), (B + 12 * MB, MB)]
    memblock_cap_memory_range(B + MB, MB)
    assert [(row.base, row.size) for row in memblock.memory] == [(B + MB, MB), (B + 12 * MB, MB)]
    memblock_remove(0, ALL)
    memblock_cap_memory_range(0, MB)
    assert "memblock_cap_memory_range: No memory registered yet" in empty.dmesg()


def test_a_full_table_moves_to_a_larger_one(empty):
    memblock_allow_resize()
    for i in range(200):
        assert memblock_reserve(B + i * 8192, 4096) == 0
    assert memblock.reserved.max == 256
    moved = [row for row in memblock.reserved if row.base >= B + 4 * MB]
    assert [(row.base, row.size) for row in moved] == [(B + 16 * MB - 8192, 8192)]


def test_a_full_table_that_must_not_move_refuses(empty):
    empty.boot_memory.memblock.reserved.grow = None
    results = [memblock_reserve(B + i * 8192, 4096) for i in range(130)]
    assert results == [0] * 128 + [-ENOMEM] * 2
    assert memblock_phys_free(B + 1024, 1024) == -ENOMEM


def test_debug_messages():
    with kmock.boot(cmdline="memblock=debug") as k, k.early_boot():
        memblock_add(0x4000_0000, MB)
        memblock_phys_alloc_range(4096, 4096, 0, 0)
        memblock_alloc_try_nid(64, 64, 0, 0, NUMA_NO_NODE)
        memblock_dump_all()
        log = k.dmesg()
    assert "memblock_add: [0x0000000040000000-0x00000000400fffff] test_debug_messages+" in log
    assert "memblock_phys_alloc_range: 4096 bytes align=0x1000 from=0x0000000000000000 max_addr=" in log
    assert "memblock_alloc_try_nid: 64 bytes align=0x40 nid=-1 from=0x0000000000000000" in log
    assert " memory.cnt  = 0x3" in log
    assert " memory[0]\t[0x0000000000001000-0x000000000009efff], 0x000000000009e000 bytes on node 0 flags: 0" in log


# -- misuse -------------------------------------------------------------------------------------------------------


def test_an_allocation_after_boot_is_warned_of_and_served_by_the_slab():
    with kmock.boot() as k, k.expect("bootmem-late", count=1) as found:
        p = memblock_alloc(100, 64)
        assert p[0:100] == bytes(100)
        kfree(p)
    assert found[0].headline.startswith("WARNING: CPU: 0 PID:")
    assert " at mm/memblock.c:1505 memblock_alloc_internal+" in found[0].headline


def test_memory_given_back_after_boot_stays_reserved():
    with kmock.boot() as k:
        with k.early_boot():
            p = memblock_alloc(4096, 4096)
        free = k.page_alloc.nr_free_pages
        with k.expect("bootmem-late"):
            memblock_free(p, 4096)
        assert k.page_alloc.nr_free_pages == free


def test_alignment_0_is_a_cache_line():
    with kmock.boot(lint=True) as k, k.early_boot(), k.expect("bootmem-bad-align", count=1):
        assert memblock_phys_alloc(1, 0) % 64 == 0


def test_a_failed_allocation_is_named_where_its_null_is_used():
    with kmock.boot() as k, k.early_boot():
        p = memblock_alloc(1 << 40, 64)
        assert not p
        with pytest.raises(kmock.KernelOops) as oops:
            p[0] = 1
    assert oops.value.report.kind == "slab-null-unchecked"


def test_a_physical_address_to_memblock_free_is_none():
    with kmock.boot() as k, k.early_boot():
        phys = memblock_phys_alloc(4096, 4096)
        with pytest.raises(kmock.KernelOops) as oops:
            memblock_free(phys, 4096)
    assert oops.value.report.kind == "virt-to-page-bad"


def test_reserving_what_was_allocated_is_told():
    with kmock.boot(lint=True) as k, k.early_boot():
        p = memblock_phys_alloc(4096, 4096)
        with k.expect("bootmem-overlap", count=1):
            memblock_reserve(p, 64)


def test_use_after_free_and_out_of_bounds_are_found():
    with kmock.boot() as k, k.early_boot():
        p = memblock_alloc(64, 64)
        with k.expect("page-out-of-bounds"):
            p[64] = 1
        memblock_free(p, 64)
        with k.expect("page-use-after-free"):
            p[0] = 1


def test_max_numnodes_is_no_node():
    with kmock.boot() as k, k.early_boot(), k.expect("bootmem-bad-range") as found:
        assert memblock_phys_alloc_try_nid(64, 64, MAX_NUMNODES)
    assert found[0].headline == "Usage of MAX_NUMNODES is deprecated. Use NUMA_NO_NODE instead"


def test_early_boot_is_over_once_something_is_allocated():
    with kmock.boot() as k:
        k.page_alloc.alloc_pages(0xCC0, 0)
        with pytest.raises(RuntimeError, match="before anything allocates"):
            k.boot_memory.open().__enter__()
        k.page_alloc.free_pages(k.memmap.page(next(iter(k.page_alloc.blocks.values())).page.pfn), 0, "__free_pages")


def test_no_memory_no_machine():
    with kmock.boot() as k, pytest.raises(kmock.KernelPanic), k.early_boot():
        memblock_remove(0, ALL)


def test_debugfs_shows_both_tables():
    with kmock.boot() as k:
        text = k.read_file("/sys/kernel/debug/memblock/memory")
        assert text.splitlines()[0] == "   0: 0x0000000000001000..0x000000000009efff"
        assert k.read_file("/sys/kernel/debug/memblock/reserved").startswith("   0: 0x0000000000000000..")
