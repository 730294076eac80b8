"""<linux/memory_hotplug.h>: memory that comes after boot, and the reserves that follow."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.errno import EEXIST, EINVAL
from kmock.linux.memory_hotplug import add_memory, memory_block_size_bytes, online_pages
from kmock.mm.zones import lowmem_reserve_of, min_free_kbytes_of, watermarks_of

MB = 1 << 20
BLOCK = 128 * MB
STATE = "/sys/devices/system/memory/memory{}/state"


@pytest.fixture
def k():
    with kmock.boot(memory="512M", cmdline="mem=256M") as k:
        yield k
        assert [str(r) for r in k.reports] == []


def sizes(k):
    return [(z.name, z.span, z.managed_pages) for z in k.page_alloc.zones.all]


def test_mem_hides_memory_from_the_kernel(k):
    with kmock.boot(memory="256M") as smaller:
        assert sizes(k) == sizes(smaller)
    assert "System RAM" in k.read_file("/proc/iomem")
    assert "1fffffff" not in k.read_file("/proc/iomem")


def test_added_memory_is_offline_until_somebody_says_so(k):
    before = sizes(k)
    assert memory_block_size_bytes() == BLOCK
    assert add_memory(0, 2 * BLOCK, BLOCK) == 0
    assert "10000000-17ffffff : System RAM" in k.read_file("/proc/iomem")
    assert sizes(k) == before
    assert k.read_file(STATE.format(2)) == "offline\n"
    k.write_file(STATE.format(2), "online")
    assert k.read_file(STATE.format(2)) == "online\n"
    assert sizes(k) == [*before, ("Normal", (0x10000, 0x18000), 0x8000)]


def test_reserves_are_computed_anew(k):
    old = k.page_alloc.zones.zone("DMA32").watermark
    add_memory(0, 2 * BLOCK, 2 * BLOCK)
    assert online_pages(0x10000, 0x10000) == 0
    zones = k.page_alloc.zones
    total = sum(z.managed_pages for z in zones.all)
    kbytes = min_free_kbytes_of(total)
    assert int(k.read_file("/proc/sys/vm/min_free_kbytes")) == kbytes
    for zone in zones.all:
        assert zone.watermark == watermarks_of(zone.managed_pages, total, kbytes)
    assert zones.zone("DMA32").watermark.min < old.min
    table = lowmem_reserve_of((*(z.managed_pages for z in zones.all), 0), (256, 256, 32, 0))
    assert [z.lowmem_reserve for z in zones.all] == [*table[:3]]


def test_a_zone_that_is_in_use_grows(k):
    add_memory(0, 2 * BLOCK, 2 * BLOCK)
    k.write_file(STATE.format(2), "online_movable")
    page = k.page_alloc.alloc_pages(0xDC0 | 0x8 | 0x2, 10)
    assert page.zone.name == "Movable"
    k.page_alloc.free_pages(page, 10, "__free_pages")
    k.write_file(STATE.format(3), "online_movable")
    zone = k.page_alloc.zones.zone("Movable")
    assert (zone.span, zone.managed_pages, zone.buddy_pages) == ((0x10000, 0x20000), 0x10000, 0x10000)
    assert k.memmap.page(0x18000).zone is zone


def test_allocations_find_the_new_zone(k):
    first = k.page_alloc.alloc_pages(0xCC0, 0)
    add_memory(0, 2 * BLOCK, BLOCK)
    online_pages(0x10000, 0x8000)
    second = k.page_alloc.alloc_pages(0xCC0, 0)
    assert (first.zone.name, second.zone.name) == ("DMA32", "Normal")
    for page in (first, second):
        k.page_alloc.free_pages(page, 0, "__free_pages")


@pytest.mark.parametrize(
    ("nid", "start", "size", "err"),
    [
        (0, 2 * BLOCK + 4096, BLOCK, EINVAL),
        (0, 2 * BLOCK, 4096, EINVAL),
        (0, 2 * BLOCK, 0, EINVAL),
        (1, 2 * BLOCK, BLOCK, EINVAL),
        (0, 8 * BLOCK, BLOCK, EINVAL),
        (0, 0, BLOCK, EEXIST),
    ],
)
def test_ranges_that_cannot_be_added(k, nid, start, size, err):
    assert add_memory(nid, start, size) == -err


def test_what_blocks_refuse(k):
    assert online_pages(1, 2) == -EINVAL
    assert online_pages(0, 0x8000) == -EINVAL
    assert k.read_file("/sys/devices/system/memory/block_size_bytes") == "8000000\n"
    assert k.read_file(STATE.format(0)) == "online\n"
    for number, text, err in ((0, "offline", 16), (0, "online", EINVAL), (0, "asleep", EINVAL)):
        with pytest.raises(OSError, match=r"busy|Invalid") as refused:
            k.write_file(STATE.format(number), text)
        assert refused.value.errno == err
    with pytest.raises(OSError, match="no block 9"):
        k.read_file(STATE.format(9))
