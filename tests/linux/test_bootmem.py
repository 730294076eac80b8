"""<linux/bootmem.h>: the allocator of early boot before memblock."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.bootmem import (
    BOOTMEM_DEFAULT,
    BOOTMEM_EXCLUSIVE,
    NODE_DATA,
    SMP_CACHE_BYTES,
    __alloc_bootmem,
    __alloc_bootmem_low,
    __alloc_bootmem_node,
    __alloc_bootmem_nopanic,
    alloc_bootmem,
    alloc_bootmem_align,
    alloc_bootmem_low,
    alloc_bootmem_low_pages,
    alloc_bootmem_low_pages_node,
    alloc_bootmem_node,
    alloc_bootmem_nopanic,
    alloc_bootmem_pages,
    alloc_bootmem_pages_node,
    alloc_bootmem_pages_nopanic,
    bootmem_bootmap_pages,
    free_bootmem,
    free_bootmem_node,
    init_bootmem,
    init_bootmem_node,
    max_low_pfn,
    min_low_pfn,
    pglist_data,
    reserve_bootmem,
    reserve_bootmem_node,
)
from kmock.linux.errno import EBUSY
from kmock.linux.memblock import memblock_is_reserved, memblock_phys_free, memblock_reserve
from kmock.linux.page import __pa
from kmock.linux.slab import kfree

MB = 1 << 20
GB = 1 << 30
DMA = 16 * MB


@pytest.fixture
def k():
    with kmock.boot(nodes=2, memory="128M") as k, k.early_boot():
        yield k
        assert [str(r) for r in k.reports] == []


def test_memory_is_zeroed_and_above_what_old_devices_reach(k):
    p = alloc_bootmem(100)
    assert __pa(p) >= DMA
    assert __pa(p) % SMP_CACHE_BYTES == 0
    assert p[0:100] == bytes(100)


def test_small_requests_share_a_page(k):
    p, q = alloc_bootmem(100), alloc_bootmem(100)
    assert q - p == 128


def test_whole_pages(k):
    alloc_bootmem(100)
    assert __pa(alloc_bootmem_pages(100)) % 4096 == 0
    assert __pa(alloc_bootmem_low_pages(100)) == MB


def test_low_memory_comes_first_when_asked_for(k):
    assert __pa(alloc_bootmem_low(64)) == MB
    assert __pa(__alloc_bootmem_low(64, 64, DMA)) >= DMA


def test_low_memory_is_below_4_gib():
    with kmock.boot(memory="6G") as k, k.early_boot():
        memblock_reserve(0, 0xF000_0000)
        assert __pa(alloc_bootmem_pages(4096)) == 4 * GB
        with pytest.raises(kmock.KernelPanic), k.expect("kernel-panic"):
            alloc_bootmem_low_pages(4096)


def test_the_goal_gives_way_where_there_is_nothing_above(k):
    assert __pa(__alloc_bootmem(64, 64, 64 * MB)) == 64 * MB
    assert __pa(__alloc_bootmem(64, 64, GB)) == MB


def test_alignment(k):
    alloc_bootmem(1)
    assert __pa(alloc_bootmem_align(100, MB)) % MB == 0


def test_nodes(k):
    near = alloc_bootmem_node(NODE_DATA(1), 64)
    assert 64 * MB <= __pa(near) < 128 * MB
    assert 64 * MB <= __pa(alloc_bootmem_pages_node(NODE_DATA(1), 64)) < 128 * MB
    assert __pa(alloc_bootmem_low_pages_node(NODE_DATA(0), 64)) == MB
    assert __pa(__alloc_bootmem_node(NODE_DATA(0), 64, 64, 0)) < 2 * MB
    free_bootmem_node(NODE_DATA(1), 64 * MB, 4096)
    assert not memblock_is_reserved(__pa(near))


def test_a_full_node_is_helped_by_another(k):
    memblock_reserve(64 * MB, 64 * MB)
    assert __pa(alloc_bootmem_node(NODE_DATA(1), 64)) < 64 * MB


def test_node_data():
    with kmock.boot(nodes=2, memory="128M"):
        node = NODE_DATA(1)
        assert isinstance(node, pglist_data)
        assert (node.node_id, node.node_start_pfn) == (1, 0x4000)
        assert node.node_spanned_pages == node.node_present_pages == 0x4000 - 33
        assert [zone.name for zone in node.node_zones] == ["DMA32"]
        assert repr(node) == "<pg_data of node 1>"
        with pytest.raises(kmock.KernelOops):
            NODE_DATA(2)


def test_partial_pages_at_the_ends_stay_reserved(k):
    p = __pa(alloc_bootmem_pages(4 * 4096))
    free_bootmem(p + 1, 3 * 4096)
    assert [memblock_is_reserved(p + i * 4096) for i in range(4)] == [True, False, False, True]


def test_reserving_takes_whole_pages(k):
    at = 48 * MB
    assert reserve_bootmem(at + 100, 4096) == 0
    assert memblock_is_reserved(at)
    assert memblock_is_reserved(at + 8191)
    assert reserve_bootmem(at, 64, BOOTMEM_EXCLUSIVE) == -EBUSY
    assert reserve_bootmem(at, 64, BOOTMEM_DEFAULT) == 0
    assert reserve_bootmem_node(NODE_DATA(0), at + 8192, 64) == 0


def test_begins_with_everything_reserved(k):
    assert init_bootmem(256, 0x4000) == 0x4000 // 8
    assert memblock_is_reserved(48 * MB)
    free_bootmem(48 * MB, MB)
    assert __pa(alloc_bootmem_nopanic(64)) == 48 * MB
    assert init_bootmem_node(NODE_DATA(1), 0, 0x4000, 0x8000) == 0x800
    assert bootmem_bootmap_pages(1 << 16) == 2


def test_bounds_of_low_memory(k):
    assert (min_low_pfn(), max_low_pfn()) == (1, 0x8000 - 33)


def test_null_where_the_machine_need_not_stop(k):
    assert not alloc_bootmem_nopanic(GB)
    assert not alloc_bootmem_pages_nopanic(GB)
    assert not __alloc_bootmem_nopanic(GB, 64, 0)


# -- misuse -------------------------------------------------------------------------------------------------------


def test_the_machine_stops_where_there_is_no_memory():
    with kmock.boot() as k, k.early_boot(), pytest.raises(kmock.KernelPanic) as stop:
        alloc_bootmem(GB)
    assert stop.value.report.headline == "Kernel panic - not syncing: Out of memory"
    assert f"bootmem alloc of {GB} bytes failed!" in k.dmesg()


@pytest.mark.parametrize("alloc", [alloc_bootmem, alloc_bootmem_low, alloc_bootmem_pages, alloc_bootmem_low_pages])
def test_size_0_is_a_bug(alloc):
    with kmock.boot() as k, k.early_boot(), pytest.raises(kmock.KernelOops) as oops:
        alloc(0)
    assert oops.value.report.kind == "bootmem-zero-size"
    assert oops.value.report.headline == "__alloc_bootmem_core(): zero-sized request"


@pytest.mark.parametrize("alloc", [alloc_bootmem, alloc_bootmem_low, alloc_bootmem_pages, alloc_bootmem_low_pages])
def test_after_boot_the_slab_gives_the_memory_under_protest(alloc):
    with kmock.boot() as k, k.expect("bootmem-late", count=1):
        kfree(alloc(64))


def test_a_release_after_boot_loses_the_memory():
    with kmock.boot() as k:
        with k.early_boot():
            p = __pa(alloc_bootmem_pages(4096))
        with k.expect("bootmem-late", count=1):
            free_bootmem(p, 4096)
        assert k.boot_memory.memblock.reserved.search(p)


def test_kfree_does_not_take_it():
    with kmock.boot() as k:
        with k.early_boot():
            p = alloc_bootmem(64)
        with k.expect("*"):
            try:
                kfree(p)
            except kmock.KernelOops:
                assert k.config.debug_vm


@pytest.mark.parametrize(
    ("base", "size", "kind"),
    [
        (48 * MB, 0, "bootmem-zero-size"),
        (GB, 4096, "bootmem-free-bad"),  # beyond low memory
        (48 * MB, 4096, "bootmem-free-bad"),  # not reserved
        (0xFFFF_8880_0300_0000, 4096, "bootmem-free-bad"),  # virtual instead of physical
    ],
)
def test_bad_releases_are_bugs(base, size, kind):
    with kmock.boot() as k, k.early_boot():
        memblock_phys_free(48 * MB, MB)
        with pytest.raises(kmock.KernelOops) as oops:
            free_bootmem(base, size)
    assert oops.value.report.kind == kind


def test_a_double_release_on_a_node_is_a_bug():
    with kmock.boot(nodes=2) as k, k.early_boot():
        p = __pa(alloc_bootmem_pages(4096))
        with pytest.raises(kmock.KernelOops):
            free_bootmem_node(NODE_DATA(1), p, 4096)
        free_bootmem_node(NODE_DATA(0), p, 4096)
        with pytest.raises(kmock.KernelOops):
            free_bootmem_node(NODE_DATA(0), p, 4096)
