"""Page frames of nodes, the zones made of them, and in which order nodes help each other out."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.bootmem import alloc_bootmem, init_bootmem, max_low_pfn, reserve_bootmem
from kmock.linux.memblock import for_each_reserved_mem_range, memblock_is_reserved, memblock_remove
from kmock.linux.mm import (
    NODE_DATA,
    absent_pages_in_range,
    add_active_range,
    find_min_pfn_with_active_regions,
    find_next_best_node,
    for_each_zone,
    free_area_init,
    free_area_init_nodes,
    free_bootmem_with_active_regions,
    get_pfn_range_for_nid,
    page_zone,
    pfn_to_page,
    present_section_nr,
    remove_active_range,
    remove_all_active_ranges,
    set_dma_reserve,
    setup_per_zone_wmarks,
    shrink_active_range,
    sparse_memory_present_with_active_regions,
    zone_spans_pfn,
)
from kmock.linux.nodemask import (
    MAX_NUMNODES,
    first_node,
    next_node,
    node_clear,
    node_isset,
    node_online,
    node_set,
    nodemask_t,
    nodes_clear,
    nodes_empty,
    nodes_weight,
    num_online_nodes,
)
from kmock.linux.pageblock_flags import (
    NR_PAGEBLOCK_BITS,
    PB_migrate,
    PB_migrate_end,
    PB_migrate_skip,
    get_pageblock_flags_group,
    get_pfnblock_flags_mask,
    pageblock_nr_pages,
    set_pageblock_flags_group,
    set_pfnblock_flags_mask,
)

MB = 1 << 20
PAGES = MB >> 12


@pytest.fixture
def k():
    """Early boot of a machine with two nodes that nobody told of its memory yet."""
    with kmock.boot(nodes=2, memory="64M") as k:
        with k.early_boot():
            own = k.boot_memory.memblock.copy()
            remove_all_active_ranges()
            yield k
            k.boot_memory.memblock = own
        assert [str(r) for r in k.reports] == []


# -- active ranges ------------------------------------------------------------------------------------------------


def test_ranges_join_what_they_touch(k):
    add_active_range(0, 0x100, 0x200)
    add_active_range(0, 0x180, 0x300)
    add_active_range(0, 0x120, 0x140)
    add_active_range(0, 0x400, 0x500)
    add_active_range(1, 0x500, 0x600)
    assert get_pfn_range_for_nid(0) == (0x100, 0x500)
    assert get_pfn_range_for_nid(1) == (0x500, 0x600)
    assert get_pfn_range_for_nid(MAX_NUMNODES) == (0x100, 0x600)
    assert absent_pages_in_range(0x100, 0x600) == 0x100
    assert absent_pages_in_range(0, 0x180) == 0x100
    assert find_min_pfn_with_active_regions() == 0x100


def test_a_range_taken_out_of_the_middle_leaves_two(k):
    add_active_range(0, 0x100, 0x300)
    add_active_range(1, 0x300, 0x400)
    remove_active_range(0, 0x180, 0x380)
    assert get_pfn_range_for_nid(0) == (0x100, 0x180)
    assert get_pfn_range_for_nid(1) == (0x300, 0x400)
    assert "remove_active_range (0, 384, 896)" in k.dmesg()
    shrink_active_range(1, 0x380)
    assert get_pfn_range_for_nid(1) == (0x300, 0x380)
    remove_active_range(0, 0x120, 0x140)
    assert absent_pages_in_range(0x100, 0x180) == 0x20


def test_no_memory_is_told(k):
    assert find_min_pfn_with_active_regions() == 0
    assert f"Could not find start_pfn for node {MAX_NUMNODES}" in k.dmesg()
    assert get_pfn_range_for_nid(0) == (0, 0)


def test_a_full_table_is_told(k):
    for i in range(300):
        add_active_range(0, i * 2, i * 2 + 1)
    assert "More than 128 memory regions, truncating" in k.dmesg()
    assert get_pfn_range_for_nid(0) == (0, 255)


def test_sections_are_present_once_somebody_says_so(k):
    add_active_range(0, 0, 0x100)
    assert not present_section_nr(0)
    sparse_memory_present_with_active_regions(1)
    assert not present_section_nr(0)
    sparse_memory_present_with_active_regions(0)
    assert present_section_nr(0)


def test_ranges_are_freed_before_anything_is_reserved(k):
    add_active_range(0, 0x100, 0x2000)
    init_bootmem(0, 0x2000)
    free_bootmem_with_active_regions(0, 0x1000)
    assert not memblock_is_reserved(0x100_000)
    assert memblock_is_reserved(0x100_0000)
    reserve_bootmem(0x100_000, 4096)
    assert memblock_is_reserved(0x100_000)


# -- zones --------------------------------------------------------------------------------------------------------


def test_zones_end_where_boot_says():
    with kmock.boot(nodes=2, memory="64M") as k:
        with k.early_boot():
            free_area_init_nodes([8 * PAGES, 24 * PAGES, 64 * PAGES, 0])
            alloc_bootmem(64)
        shown = [(z.nid, z.name, z.span) for z in for_each_zone()]
        assert shown == [
            (0, "DMA", (1, 8 * PAGES)),
            (0, "DMA32", (8 * PAGES, 24 * PAGES)),
            (0, "Normal", (24 * PAGES, 32 * PAGES)),
            (1, "Normal", (32 * PAGES, 64 * PAGES - 33)),
        ]
        log = k.dmesg()
    for line in (
        "  DMA      [mem 0x0000000000001000-0x00000000007fffff]",
        "  DMA32    [mem 0x0000000000800000-0x00000000017fffff]",
        "  node   1: [mem 0x0000000002000000-0x0000000003fdefff]",
        "Initmem setup node 0 [mem 0x0000000000001000-0x0000000001ffffff]",
        "On node 0, zone DMA: 97 pages in unavailable ranges",
    ):
        assert line in log


def test_memory_beyond_all_zones_is_nobodys():
    with kmock.boot() as k:
        with k.early_boot():
            free_area_init([4096, 8192])
        assert k.memmap.zone_of(8191) is not None
        assert k.memmap.zone_of(8192) is None


def test_movable_memory_is_told_of():
    with kmock.boot(memory="1G", movable="256M") as k:
        with k.early_boot():
            free_area_init([4096, 1 << 20, 1 << 20])
        assert "  Node 0: 0x0000000030000000" in k.dmesg()
        assert [z.name for z in for_each_zone()] == ["DMA", "DMA32", "Movable"]


def test_an_own_map_makes_the_same_zones_as_the_machines():
    with kmock.boot(memory="1G", nodes=2) as k:
        usual = [(z.nid, z.name, z.span, z.watermark) for z in for_each_zone()]
    with kmock.boot(memory="1G", nodes=2) as k:
        with k.early_boot():
            reserved = for_each_reserved_mem_range()
        assert reserved
        assert [(z.nid, z.name, z.span, z.watermark) for z in for_each_zone()] == usual


def test_a_dma_reserve_lowers_the_first_zones_watermarks():
    marks = []
    for pages in (0, 2000, 1 << 20):
        with kmock.boot() as k:
            with k.early_boot():
                set_dma_reserve(pages)
            marks.append(for_each_zone()[0].watermark.min)
    assert marks[1] < marks[0] == marks[2]


def test_watermarks_follow_min_free_kbytes():
    with kmock.boot() as k:
        before = for_each_zone()[1].watermark
        k.page_alloc.zones.tunables.min_free_kbytes *= 2
        assert for_each_zone()[1].watermark == before
        setup_per_zone_wmarks()
        assert for_each_zone()[1].watermark.min > before.min
        k.write_file("/proc/sys/vm/min_free_kbytes", "128")
        assert for_each_zone()[1].watermark.min < before.min


def test_zones_of_pages():
    with kmock.boot(nodes=2):
        zone = page_zone(pfn_to_page(0x1000))
        assert zone is for_each_zone()[1]
        assert zone_spans_pfn(zone, 0x1FFF)
        assert not zone_spans_pfn(zone, 0x2000)
        assert page_zone(pfn_to_page(0)) is None
        assert present_section_nr(0)
        assert NODE_DATA(0).node_zones == for_each_zone()[:2]


# -- nodes --------------------------------------------------------------------------------------------------------

FAR = [[10, 40, 20, 30], [40, 10, 30, 20], [20, 30, 10, 40], [30, 20, 40, 10]]


def order(node):
    used = nodemask_t()
    return [*iter(lambda: find_next_best_node(node, used), -1)]


def test_the_nearest_node_is_the_next_best():
    with kmock.boot(memory="256M", nodes=4, cpus=4, distances=FAR):
        assert [order(n) for n in range(4)] == [[0, 2, 3, 1], [1, 3, 2, 0], [2, 0, 1, 3], [3, 1, 0, 2]]


def test_a_node_with_processors_is_left_in_peace():
    nodes = [{"memory": "64M", "cpus": [0]}, {"memory": "64M", "cpus": [1]}, {"memory": "64M", "cpus": []}]
    with kmock.boot(nodes=nodes):
        assert order(0) == [0, 2, 1]
        assert order(1) == [1, 2, 0]


def test_a_mask_that_was_not_cleared_hides_nodes():
    with kmock.boot(memory="256M", nodes=4, cpus=4):
        used = nodemask_t()
        node_set(2, used)
        assert find_next_best_node(0, used) == 0
        assert {find_next_best_node(0, used), find_next_best_node(0, used)} == {1, 3}
        assert find_next_best_node(0, used) == -1


def test_sets_of_nodes():
    with kmock.boot(nodes=2):
        mask = nodemask_t()
        assert nodes_empty(mask)
        assert first_node(mask) == MAX_NUMNODES
        node_set(3, mask)
        node_set(5, mask)
        assert node_isset(3, mask)
        assert (first_node(mask), next_node(3, mask), next_node(5, mask)) == (3, 5, MAX_NUMNODES)
        node_clear(3, mask)
        assert nodes_weight(mask) == 1
        nodes_clear(mask)
        assert nodes_empty(mask)
        assert num_online_nodes() == 2
        assert node_online(1)
        assert not node_online(2)


# -- pageblocks ---------------------------------------------------------------------------------------------------


def test_pageblock_flags():
    with kmock.boot() as k:
        page = pfn_to_page(0x1000)
        assert get_pageblock_flags_group(page, PB_migrate, PB_migrate_end) == 1
        set_pageblock_flags_group(page, 2, PB_migrate, PB_migrate_end)
        set_pageblock_flags_group(page, 1, PB_migrate_skip, PB_migrate_skip)
        assert get_pageblock_flags_group(page + pageblock_nr_pages - 1, 0, NR_PAGEBLOCK_BITS - 1) == 0b1010
        assert get_pageblock_flags_group(page, 1, 3) == 0b101
        assert get_pfnblock_flags_mask(page, page.pfn, 0b1000) == 0b1000
        set_pfnblock_flags_mask(page, 0, page.pfn, 0b1000)
        assert get_pfnblock_flags_mask(page, page.pfn, 0b1111) == 2
        assert get_pageblock_flags_group(page + pageblock_nr_pages, 0, 3) == 1
        assert page.zone.pageblock_type(page.pfn) == 2
        assert k.reports == []


def test_flags_of_a_page_frame_outside_of_the_zone():
    with kmock.boot() as k:
        page = pfn_to_page(0x1000)
        with k.expect("pageblock-out-of-zone", count=1):
            assert get_pfnblock_flags_mask(page, 0x100, 7) == 0
        with pytest.raises(kmock.KernelOops) as oops:
            set_pageblock_flags_group(pfn_to_page(0), 1, 0, 2)
    assert oops.value.report.kind == "pageblock-out-of-zone"


# -- misuse -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: add_active_range(0, 0x100, 0x200),
        lambda: remove_active_range(0, 0x100, 0x200),
        lambda: shrink_active_range(0, 0x1000),
        remove_all_active_ranges,
        find_min_pfn_with_active_regions,
        lambda: get_pfn_range_for_nid(0),
        lambda: absent_pages_in_range(0, 1),
        lambda: free_bootmem_with_active_regions(0, 1),
        lambda: sparse_memory_present_with_active_regions(0),
        lambda: free_area_init_nodes([1, 2, 3]),
        lambda: free_area_init([1, 2, 3]),
        lambda: set_dma_reserve(1),
    ],
)
def test_after_boot_it_is_too_late(call):
    with kmock.boot() as k, k.expect("bootmem-late", count=1):
        before = [(z.span, z.watermark) for z in for_each_zone()]
        call()
        assert [(z.span, z.watermark) for z in for_each_zone()] == before


@pytest.mark.parametrize(
    "call",
    [
        lambda: add_active_range(0, 0x200, 0x200),
        lambda: add_active_range(1, 0x100, 0x200),
        lambda: absent_pages_in_range(2, 1),
        lambda: free_area_init_nodes([4096, 2048, 16384]),
    ],
)
def test_ranges_that_cannot_be(call):
    with kmock.boot(nodes=2) as k, k.early_boot(), k.expect("bootmem-bad-range", count=1):
        call()


def test_an_underflow_is_what_c_makes_of_it():
    with kmock.boot() as k, k.early_boot(), k.expect("bootmem-bad-range"):
        assert absent_pages_in_range(2, 1) == (1 << 64) - 1


def test_zones_without_memory():
    with kmock.boot() as k, pytest.raises(kmock.KernelPanic), k.early_boot(), k.expect("bootmem-bad-range", count=1):
        memblock_remove(0, 1 << 40)
        free_area_init_nodes([4096, 8192, 16384])


def test_zones_are_made_once():
    with kmock.boot() as k, k.early_boot():
        free_area_init_nodes([4096, 1 << 20])
        with k.expect("bootmem-late", count=1):
            free_area_init_nodes([4096, 1 << 20])
        with k.expect("bootmem-late", count=1):
            set_dma_reserve(100)


def test_freeing_over_what_is_in_use():
    with kmock.boot() as k, k.early_boot(), k.expect("bootmem-refreed", count=1):
        free_bootmem_with_active_regions(MAX_NUMNODES, max_low_pfn())
