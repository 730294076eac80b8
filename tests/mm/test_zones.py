"""Nodes and zones: what lies where, in which order it is looked for, what is kept in reserve."""

from __future__ import annotations

import pytest

import kmock
from kmock.mm import zone_layout
from kmock.mm.zones import lowmem_reserve_of, min_free_kbytes_of, pcp_batch_of, watermarks_of


@pytest.mark.parametrize(
    ("megabytes", "kbytes"), [(16, 512), (32, 724), (64, 1024), (128, 1448), (1024, 4096), (16384, 16384)]
)
def test_min_free_kbytes_is_as_the_kernels_own_table_says(megabytes, kbytes):
    assert min_free_kbytes_of(megabytes << 8) == kbytes


def test_min_free_kbytes_is_clamped():
    assert min_free_kbytes_of(1) == 128
    assert min_free_kbytes_of(1 << 40) == 262144


def test_watermarks_are_apart_by_a_quarter_or_by_the_scale_factor():
    small = watermarks_of(1000, 1000, 400)
    assert small == (100, 125, 150, 175)
    large = watermarks_of(1000, 1000, 400, 1000)
    assert large == (100, 200, 300, 400)


def test_highmem_has_a_small_minimum():
    assert watermarks_of(10_000, 100_000, 4096, highmem=True).min == 32
    assert watermarks_of(10_000_000, 100_000, 4096, highmem=True).min == 128


def test_reserves_protect_lower_zones_from_requests_for_higher_ones():
    assert lowmem_reserve_of((256, 2560, 3200), (256, 256, 32)) == ((0, 10, 22), (0, 0, 12), (0, 0, 0))
    assert lowmem_reserve_of((0, 2560), (256, 256)) == ((0, 0), (0, 0))


@pytest.mark.parametrize(("managed", "batch"), [(100, 1), (6712, 1), (23072, 3), (55280, 15), (1 << 30, 63)])
def test_batch_is_a_power_of_two_less_one(managed, batch):
    assert pcp_batch_of(managed) == batch


def names(k):
    return [(zone.nid, zone.name) for zone in k.page_alloc.zones.all]


def test_zones_of_machines():
    for options, expected in (
        ({"memory": "8M"}, [(0, "DMA")]),
        ({"memory": "64M"}, [(0, "DMA"), (0, "DMA32")]),
        ({"memory": "8G", "nodes": 2}, [(0, "DMA"), (0, "DMA32"), (0, "Normal"), (1, "Normal")]),
        ({"arch": "x86_32", "memory": "2G"}, [(0, "DMA"), (0, "Normal"), (0, "HighMem")]),
        ({"memory": "1G", "movable": "256M"}, [(0, "DMA"), (0, "DMA32"), (0, "Movable")]),
    ):
        with kmock.boot(**options) as k:
            assert names(k) == expected


def test_every_page_frame_is_in_the_zone_that_spans_it():
    with kmock.boot(memory="8G", nodes=2) as k:
        for zone in k.page_alloc.zones.all:
            for start, end in zone.managed:
                assert k.memmap.zone_of(start) is zone
                assert k.memmap.zone_of(end - 1) is zone
        assert k.memmap.zone_of(0) is None


def test_zonelists_go_down_and_then_outwards():
    with kmock.boot(memory="8G", nodes=2) as k:
        z = k.page_alloc.zones
        shown = [(zone.nid, zone.name) for zone in z.zonelist(0, 2, thisnode=False)]
        assert shown == [(0, "Normal"), (0, "DMA32"), (0, "DMA"), (1, "Normal")]
        assert [zone.name for zone in z.zonelist(0, 1, thisnode=False)] == ["DMA32", "DMA"]
        assert [zone.nid for zone in z.zonelist(1, 2, thisnode=True)] == [1]


def test_nearer_nodes_come_first():
    far = [[10, 40, 20, 30], [40, 10, 30, 20], [20, 30, 10, 40], [30, 20, 40, 10]]
    with kmock.boot(memory="256M", nodes=4, cpus=4, distances=far) as k:
        assert [k.page_alloc.zones.node_order(n) for n in range(4)] == [
            [0, 2, 3, 1],
            [1, 3, 2, 0],
            [2, 0, 1, 3],
            [3, 1, 0, 2],
        ]


def test_nodes_at_one_distance_take_turns():
    with kmock.boot(memory="256M", nodes=4, cpus=4) as k:
        orders = [k.page_alloc.zones.node_order(n) for n in range(4)]
        assert [order[0] for order in orders] == [0, 1, 2, 3]
        assert sorted(order[1] for order in orders) == [0, 1, 2, 3]


def test_a_machine_that_nobody_allocates_on_has_no_free_lists():
    with kmock.boot(memory="64G", nodes=8, cpus=256) as k:
        assert all(not zone.blocks for zone in k.page_alloc.zones.all)
        assert k.memmap.pages == {}
        assert sum(zone.buddy_pages for zone in k.page_alloc.zones.all) == sum(
            zone.managed_pages for zone in k.page_alloc.zones.all
        )


def test_without_cuts_a_hole():
    assert zone_layout.without([(0, 10), (20, 30)], (5, 25)) == [(0, 5), (25, 30)]
