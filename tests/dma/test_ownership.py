"""Whose the bytes of a mapping are: what is reported, and what correct drivers do that must not be."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.dma_mapping import (
    DMA_ATTR_SKIP_CPU_SYNC,
    DMA_BIDIRECTIONAL,
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    dma_map_page,
    dma_map_sg,
    dma_map_single,
    dma_map_single_attrs,
    dma_mapping_error,
    dma_sync_single_for_cpu,
    dma_sync_single_for_device,
    dma_sync_single_range_for_cpu,
    dma_unmap_page,
    dma_unmap_sg,
    dma_unmap_single,
    dma_unmap_single_attrs,
)
from kmock.linux.gfp import GFP_KERNEL, alloc_page, alloc_pages
from kmock.linux.mm import __free_page as free_one
from kmock.linux.mm import get_page, put_page, split_page
from kmock.linux.scatterlist import scatterlist, sg_init_table, sg_set_page
from kmock.linux.slab import kfree, kmalloc, kzalloc
from kmock.linux.string import memcpy, memset
from kmock.linux.uaccess import copy_to_user
from kmock.linux.vmalloc import vfree, vmalloc, vmalloc_to_page
from kmock.mm.access import Memory


class Buffer:
    def __init__(self, k, direction, size=256, attrs=0):
        self.k, self.direction, self.size, self.attrs = k, direction, size, attrs
        self.dev = k.device(f"nic{k.seq}", dma_mask=DMA_BIT_MASK(64))
        self.p = kzalloc(size, GFP_KERNEL)
        self.handle = dma_map_single_attrs(self.dev, self.p, size, direction, attrs)
        assert dma_mapping_error(self.dev, self.handle) == 0

    def cpu(self, size=0):
        dma_sync_single_for_cpu(self.dev, self.handle, size or self.size, self.direction)

    def device(self, size=0):
        dma_sync_single_for_device(self.dev, self.handle, size or self.size, self.direction)

    def close(self):
        dma_unmap_single_attrs(self.dev, self.handle, self.size, self.direction, self.attrs)
        kfree(self.p)


@pytest.fixture(params=[{}, {"dma_coherent": False}, {"iommu": True}], ids=["coherent", "noncoherent", "iommu"])
def k(request):
    with kmock.boot(**request.param) as kernel:
        yield kernel
    assert not kernel.reports.unexpected


class TestWhatIsRight:
    def test_plain_memory_is_not_watched(self, k):
        assert k.mem.__class__ is Memory
        b = Buffer(k, DMA_TO_DEVICE)
        assert k.mem.watched
        b.close()
        assert k.mem.__class__ is Memory
        assert k.mem.quick

    def test_the_driver_may_read_what_the_device_only_reads(self, k):
        b = Buffer(k, DMA_TO_DEVICE)
        assert b.p[0:16] == bytes(16)
        k.dma_read(b.dev, b.handle, 256)
        assert b.p[0] == 0
        b.close()

    def test_a_buffer_that_stays_mapped_is_filled_and_synced_over_and_over(self, k):
        b = Buffer(k, DMA_TO_DEVICE)
        for n in range(4):
            memset(b.p, n, 256)
            b.device()
            assert k.dma_read(b.dev, b.handle, 256) == bytes([n]) * 256
        b.close()

    def test_a_buffer_that_was_only_read_need_not_be_synced_back(self, k):
        b = Buffer(k, DMA_FROM_DEVICE)
        for n in range(4):
            k.dma_write(b.dev, b.handle, bytes([n]) * 8)
            b.cpu()
            assert b.p[0:8] == bytes([n]) * 8
        b.close()

    def test_what_was_synced_in_part_may_be_read_in_part(self, k):
        b = Buffer(k, DMA_FROM_DEVICE)
        k.dma_write(b.dev, b.handle, b"header, and the rest")
        dma_sync_single_range_for_cpu(b.dev, b.handle, 0, 6, DMA_FROM_DEVICE)
        assert b.p[0:6] == b"header"
        b.close()

    def test_beside_the_mapping_everything_is_the_drivers(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(64))
        p = kzalloc(512, GFP_KERNEL)
        handle = dma_map_single(dev, p + 128, 128, DMA_FROM_DEVICE)
        dma_mapping_error(dev, handle)
        p[0:128] = p[256:384]
        dma_unmap_single(dev, handle, 128, DMA_FROM_DEVICE)
        kfree(p)

    def test_a_driver_that_syncs_by_itself_is_left_alone(self, k):
        b = Buffer(k, DMA_FROM_DEVICE, attrs=DMA_ATTR_SKIP_CPU_SYNC)
        b.p[0] = 1
        b.p[0:16]
        b.close()

    def test_a_page_that_somebody_else_holds_is_not_freed(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(64))
        page = alloc_page(GFP_KERNEL)
        handle = dma_map_page(dev, page, 0, 4096, DMA_TO_DEVICE)
        dma_mapping_error(dev, handle)
        get_page(page)
        put_page(page)
        dma_unmap_page(dev, handle, 4096, DMA_TO_DEVICE)
        put_page(page)

    def test_pages_that_happen_to_be_neighbours_may_be_one_run(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(64))
        block = alloc_pages(GFP_KERNEL, 1)
        split_page(block, 1)
        sg = scatterlist()
        sg_init_table(sg, 1)
        sg_set_page(sg, block, 8192, 0)
        assert dma_map_sg(dev, sg, 1, DMA_FROM_DEVICE) == 1
        dma_unmap_sg(dev, sg, 1, DMA_FROM_DEVICE)
        free_one(block)
        free_one(block + 1)

    def test_what_a_device_filled_may_go_to_the_user(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(64))
        user = k.user()
        p = kmalloc(100, GFP_KERNEL)
        area = vmalloc(4096)
        a = dma_map_single(dev, p, 100, DMA_FROM_DEVICE)
        b = dma_map_page(dev, vmalloc_to_page(area), 0, 4096, DMA_FROM_DEVICE)
        assert dma_mapping_error(dev, a) == dma_mapping_error(dev, b) == 0
        dma_unmap_single(dev, a, 100, DMA_FROM_DEVICE)
        dma_unmap_page(dev, b, 4096, DMA_FROM_DEVICE)
        assert copy_to_user(user.buffer(100), p, 100) == 0
        assert copy_to_user(user.buffer(100), area, 100) == 0
        kfree(p)
        vfree(area)


class TestWhatIsWrong:
    def test_reading_by_copy_to_user_is_reading(self, k):
        b = Buffer(k, DMA_FROM_DEVICE)
        k.dma_write(b.dev, b.handle, b"frame")
        with k.expect("dma-sync-missing-cpu"):
            copy_to_user(k.user().buffer(5), b.p, 5)
        b.close()

    def test_reading_by_memcpy_is_reading(self, k):
        b = Buffer(k, DMA_FROM_DEVICE)
        to = kmalloc(16, GFP_KERNEL)
        with k.expect("dma-sync-missing-cpu"):
            memcpy(to, b.p, 16)
        kfree(to)
        b.close()

    def test_the_device_wrote_again_after_the_sync(self, k):
        b = Buffer(k, DMA_FROM_DEVICE)
        b.cpu()
        k.dma_write(b.dev, b.handle, b"late")
        with k.expect("dma-sync-missing-cpu"):
            b.p[0:4]
        b.close()

    def test_writing_is_told_where_it_happened_even_if_it_shows_at_the_unmap(self, k):
        b = Buffer(k, DMA_TO_DEVICE)
        with k.expect("dma-cpu-access-device-owned") as found:
            b.p[0] = 1
        assert len(found) == 1
        b.close()
        c = Buffer(k, DMA_TO_DEVICE)
        c.p[0] = 1
        with k.expect("ownership-violation") as found:
            c.close()
        assert found[0].where.function == "test_writing_is_told_where_it_happened_even_if_it_shows_at_the_unmap"

    def test_a_mistake_is_told_once(self, k):
        b = Buffer(k, DMA_FROM_DEVICE)
        for _ in range(3):
            b.p[0] = 1
            b.p[0]
        (report,) = k.reports
        assert report.kind == "dma-cpu-access-device-owned"
        assert report.followed_by
        k.reports.accepted.append(report)
        b.close()


@pytest.mark.parametrize(
    ("boot", "mask"), [({"dma_coherent": False}, 64), ({"memory": "5G"}, 32)], ids=["caches", "bounce buffers"]
)
class TestStaleBytes:
    """Where bytes are really carried over, a forgotten sync shows, whatever the direction."""

    @pytest.fixture
    def b(self, boot, mask):
        with kmock.boot(**boot) as k:
            b = Buffer.__new__(Buffer)
            b.k, b.direction, b.size, b.attrs = k, DMA_BIDIRECTIONAL, 256, 0
            b.dev = k.device("nic", dma_mask=DMA_BIT_MASK(mask))
            b.p = kzalloc(256, GFP_KERNEL)
            b.handle = dma_map_single(b.dev, b.p, 256, DMA_BIDIRECTIONAL)
            assert dma_mapping_error(b.dev, b.handle) == 0
            yield b
            b.close()
        assert not k.reports.unexpected

    def test_the_driver_reads_old_bytes(self, b):
        b.k.dma_write(b.dev, b.handle, b"new")
        with b.k.expect("dma-sync-missing-cpu"):
            assert b.p[0:3] == bytes(3)
        b.cpu()
        assert b.p[0:3] == b"new"

    def test_the_device_reads_old_bytes(self, b):
        b.p[0:3] = b"new"
        with b.k.expect("dma-sync-missing-device"):
            assert b.k.dma_read(b.dev, b.handle, 3) == bytes(3)
        b.device()
        assert b.k.dma_read(b.dev, b.handle, 3) == b"new"

    def test_what_was_not_synced_is_lost(self, b):
        b.p[0:3] = b"new"
        with b.k.expect("write-lost-not-synced"):
            b.cpu()
        assert b.p[0:3] == bytes(3)


def test_a_neighbour_in_the_line_spoils_what_the_device_wrote():
    with kmock.boot(dma_coherent=False) as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(64))
        state = kzalloc(128, GFP_KERNEL)
        handle = dma_map_single(dev, state + 16, 112, DMA_FROM_DEVICE)
        assert dma_mapping_error(dev, handle) == 0
        state[0] = 1
        k.dma_write(dev, handle, b"frame")
        with k.expect("dma-map-shared-cacheline"):
            dma_unmap_single(dev, handle, 112, DMA_FROM_DEVICE)
        assert state[16:21] == bytes(5)
        kfree(state)


def test_small_objects_of_their_own_share_nothing():
    with kmock.boot(dma_coherent=False) as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(64))
        a, b = kzalloc(32, GFP_KERNEL), kzalloc(32, GFP_KERNEL)
        handle = dma_map_single(dev, a, 32, DMA_FROM_DEVICE)
        assert dma_mapping_error(dev, handle) == 0
        k.dma_write(dev, handle, b"frame")
        b[0] = 1
        dma_unmap_single(dev, handle, 32, DMA_FROM_DEVICE)
        assert a[0:5] == b"frame"
        assert b[0] == 1
        kfree(a)
        kfree(b)
    assert not k.reports
