"""Streaming mappings: handles, lists, what a device can reach, and the ways to get there."""

from __future__ import annotations

from itertools import pairwise

import pytest

import kmock
from kmock.linux.dma_direction import valid_dma_direction
from kmock.linux.dma_mapping import (
    DMA_ATTR_SKIP_CPU_SYNC,
    DMA_BIDIRECTIONAL,
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_MAPPING_ERROR,
    DMA_NONE,
    DMA_TO_DEVICE,
    dma_addressing_limited,
    dma_alloc_coherent,
    dma_alloc_noncontiguous,
    dma_can_mmap,
    dma_coerce_mask_and_coherent,
    dma_free_coherent,
    dma_free_noncontiguous,
    dma_get_mask,
    dma_get_merge_boundary,
    dma_get_min_align_mask,
    dma_get_required_mask,
    dma_get_seg_boundary_nr_pages,
    dma_get_sgtable,
    dma_get_sgtable_attrs,
    dma_map_page_attrs,
    dma_map_resource,
    dma_map_sg,
    dma_map_sg_attrs,
    dma_map_sgtable,
    dma_map_single,
    dma_map_single_attrs,
    dma_mapping_error,
    dma_max_mapping_size,
    dma_need_sync,
    dma_opt_mapping_size,
    dma_set_coherent_mask,
    dma_set_mask,
    dma_set_max_seg_size,
    dma_set_min_align_mask,
    dma_sync_sgtable_for_cpu,
    dma_sync_sgtable_for_device,
    dma_sync_single_range_for_cpu,
    dma_sync_single_range_for_device,
    dma_unmap_page_attrs,
    dma_unmap_resource,
    dma_unmap_sg,
    dma_unmap_sg_attrs,
    dma_unmap_sgtable,
    dma_unmap_single,
    dma_unmap_single_attrs,
    dma_vmap_noncontiguous,
    dma_vunmap_noncontiguous,
)
from kmock.linux.errno import EIO, ENOMEM
from kmock.linux.gfp import GFP_DMA, GFP_KERNEL, GFP_ZERO, alloc_page, free_pages, get_free_pages
from kmock.linux.mm import __free_page as free_one
from kmock.linux.scatterlist import (
    scatterlist,
    sg_alloc_table_from_pages,
    sg_dma_address,
    sg_dma_len,
    sg_free_table,
    sg_init_one,
    sg_init_table,
    sg_set_buf,
    sg_table,
)
from kmock.linux.slab import kfree, kmalloc, kzalloc

BIG = {"nodes": [{"memory": "5G"}]}
MACHINES = [{}, {"iommu": True}, {"dma_coherent": False}, {"dma_coherent": False, "iommu": True}]


@pytest.fixture(params=MACHINES, ids=["direct", "iommu", "noncoherent", "both"])
def k(request):
    with kmock.boot(**request.param) as kernel:
        yield kernel
    assert not kernel.reports


@pytest.fixture
def dev(k):
    return k.device("nic", dma_mask=DMA_BIT_MASK(32))


def checked(dev, handle):
    assert dma_mapping_error(dev, handle) == 0
    return handle


class TestStreaming:
    def test_what_the_device_writes_is_there_after_unmap(self, k, dev):
        p = kmalloc(300, GFP_KERNEL)
        handle = checked(dev, dma_map_single(dev, p, 300, DMA_FROM_DEVICE))
        k.dma_write(dev, handle + 10, b"frame")
        dma_unmap_single(dev, handle, 300, DMA_FROM_DEVICE)
        assert p[10:15] == b"frame"
        kfree(p)

    def test_the_device_reads_what_was_written_before_the_map(self, k, dev):
        p = kzalloc(300, GFP_KERNEL)
        p[290:300] = b"0123456789"
        handle = checked(dev, dma_map_single_attrs(dev, p, 300, DMA_TO_DEVICE, 0))
        assert k.dma_read(dev, handle + 290, 10) == b"0123456789"
        dma_unmap_single_attrs(dev, handle, 300, DMA_TO_DEVICE, 0)
        kfree(p)

    def test_ranges_are_synced_back_and_forth(self, k, dev):
        p = kzalloc(256, GFP_KERNEL)
        handle = checked(dev, dma_map_single(dev, p, 256, DMA_BIDIRECTIONAL))
        for round in range(3):
            k.dma_write(dev, handle + 64, bytes([round]) * 64)
            dma_sync_single_range_for_cpu(dev, handle, 64, 64, DMA_BIDIRECTIONAL)
            assert p[64:128] == bytes([round]) * 64
            p[64:128] = bytes([round + 100]) * 64
            dma_sync_single_range_for_device(dev, handle, 64, 64, DMA_BIDIRECTIONAL)
            assert k.dma_read(dev, handle + 64, 64) == bytes([round + 100]) * 64
        dma_unmap_single(dev, handle, 256, DMA_BIDIRECTIONAL)
        kfree(p)

    def test_a_page_is_mapped_from_an_offset(self, k, dev):
        page = alloc_page(GFP_KERNEL)
        handle = checked(dev, dma_map_page_attrs(dev, page, 100, 200, DMA_FROM_DEVICE, 0))
        assert handle % 4096 == 100
        dma_unmap_page_attrs(dev, handle, 200, DMA_FROM_DEVICE, 0)
        free_one(page)

    def test_a_driver_may_sync_by_itself(self, k, dev):
        page = alloc_page(GFP_KERNEL)
        handle = checked(dev, dma_map_page_attrs(dev, page, 0, 4096, DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC))
        dma_unmap_page_attrs(dev, handle, 4096, DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC)
        free_one(page)

    def test_registers_of_another_device(self, k, dev):
        window = k.mmio(0xF000_0000, 0x1000)
        handle = checked(dev, dma_map_resource(dev, 0xF000_0100, 16, DMA_BIDIRECTIONAL, 0))
        k.dma_write(dev, handle, b"doorbell")
        assert k.dma_read(dev, handle, 8) == b"doorbell"
        assert window.read(0x100, 4) == int.from_bytes(b"door", "little")
        dma_unmap_resource(dev, handle, 16, DMA_BIDIRECTIONAL, 0)


class TestLists:
    @pytest.fixture
    def pages(self, k):
        p = get_free_pages(GFP_KERNEL | GFP_ZERO, 2)
        yield p
        free_pages(p, 2)

    def test_segments_reach_all_of_the_memory(self, k, dev, pages):
        sg = [scatterlist() for _ in range(3)]
        sg_init_table(sg, 3)
        for i, one in enumerate(sg):
            sg_set_buf(one, pages + 4096 * i, 4096)
        count = dma_map_sg_attrs(dev, sg, 3, DMA_FROM_DEVICE, 0)
        # All three touch: an IOMMU makes one of them.
        assert count == (1 if k.config.iommu else 3)
        written = bytes(i % 253 for i in range(3 * 4096))
        done = 0
        for one in sg[:count]:
            k.dma_write(dev, sg_dma_address(one), written[done : done + sg_dma_len(one)])
            done += sg_dma_len(one)
        dma_unmap_sg_attrs(dev, sg, 3, DMA_FROM_DEVICE, 0)
        assert pages[0 : 3 * 4096] == written

    def test_segments_end_where_the_device_can_take_no_more(self, k, dev, pages):
        dma_set_max_seg_size(dev, 8192)
        sg = [scatterlist() for _ in range(3)]
        sg_init_table(sg, 3)
        for i, one in enumerate(sg):
            sg_set_buf(one, pages + 4096 * i, 4096)
        assert dma_map_sg(dev, sg, 3, DMA_TO_DEVICE) == (2 if k.config.iommu else 3)
        dma_unmap_sg(dev, sg, 3, DMA_TO_DEVICE)

    def test_a_table_is_mapped_synced_and_unmapped(self, k, dev):
        page = alloc_page(GFP_KERNEL)
        table = sg_table()
        sg_alloc_table_from_pages(table, [page], 1, 0, 4096, GFP_KERNEL)
        assert dma_map_sgtable(dev, table, DMA_FROM_DEVICE, 0) == 0
        k.dma_write(dev, sg_dma_address(table.sgl), b"frame")
        dma_sync_sgtable_for_cpu(dev, table, DMA_FROM_DEVICE)
        assert page.memmap.ram.bytes[page.phys : page.phys + 5] == b"frame"
        dma_sync_sgtable_for_device(dev, table, DMA_FROM_DEVICE)
        dma_unmap_sgtable(dev, table, DMA_FROM_DEVICE, 0)
        sg_free_table(table)
        free_one(page)

    def test_coherent_memory_as_a_table(self, k, dev):
        vaddr, dma = dma_alloc_coherent(dev, 5000, GFP_KERNEL)
        for get in (dma_get_sgtable, lambda *args: dma_get_sgtable_attrs(*args, 0)):
            table = sg_table()
            assert get(dev, table, vaddr, dma, 5000) == 0
            assert table.sgl.length == 8192
            sg_free_table(table)
        dma_free_coherent(dev, 5000, vaddr, dma)

    def test_noncontiguous_memory(self, k, dev):
        table = dma_alloc_noncontiguous(dev, 5000, DMA_FROM_DEVICE, GFP_KERNEL, 0)
        vaddr = dma_vmap_noncontiguous(dev, 5000, table)
        k.dma_write(dev, sg_dma_address(table.sgl), b"frame")
        dma_sync_sgtable_for_cpu(dev, table, DMA_FROM_DEVICE)
        assert vaddr[0:5] == b"frame"
        dma_vunmap_noncontiguous(dev, vaddr)
        dma_free_noncontiguous(dev, 5000, table, DMA_FROM_DEVICE)


class TestMasks:
    def test_masks_that_no_memory_lies_under_are_refused(self, dev, k):
        assert dma_set_mask(dev, DMA_BIT_MASK(64)) == 0
        assert dma_get_mask(dev) == DMA_BIT_MASK(64)
        assert dma_set_coherent_mask(dev, DMA_BIT_MASK(24)) == 0
        assert dma_set_mask(dev, DMA_BIT_MASK(12)) == (0 if k.config.iommu else -EIO)

    def test_a_mask_for_a_device_without(self, k):
        dev = k.device("bare")
        assert dma_set_mask(dev, DMA_BIT_MASK(32)) == -EIO
        assert dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(32)) == 0
        assert dev.coherent_dma_mask == DMA_BIT_MASK(32)

    def test_what_a_mask_must_have(self, k, dev):
        assert dma_get_required_mask(dev) == (DMA_BIT_MASK(32) if k.config.iommu else DMA_BIT_MASK(26))
        assert not dma_addressing_limited(dev)
        assert dma_max_mapping_size(dev) == dma_opt_mapping_size(dev) == (1 << 64) - 1
        assert dma_get_merge_boundary(dev) == (4095 if k.config.iommu else 0)
        assert dma_can_mmap(dev)

    def test_alignment_and_boundaries(self, k, dev):
        assert dma_get_min_align_mask(dev) == 0
        assert dma_set_min_align_mask(dev, 0xFFF) == 0
        assert dma_get_min_align_mask(dev) == 0xFFF
        assert dma_get_seg_boundary_nr_pages(dev, 12) == 1 << 52

    def test_directions(self):
        assert [valid_dma_direction(d) for d in (DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE)] == [1, 1, 1]
        assert not valid_dma_direction(DMA_NONE)


class TestBounceBuffers:
    @pytest.fixture
    def k(self):
        with kmock.boot(**BIG) as kernel:
            yield kernel
        assert not kernel.reports

    def test_memory_beyond_the_mask_is_bounced(self, k, dev):
        p = kmalloc(100, GFP_KERNEL)
        assert p - k.layout.page_offset >= 1 << 32
        handle = checked(dev, dma_map_single(dev, p, 100, DMA_FROM_DEVICE))
        assert handle + 100 <= 1 << 32
        assert dma_need_sync(dev, handle)
        k.dma_write(dev, handle, b"frame")
        dma_unmap_single(dev, handle, 100, DMA_FROM_DEVICE)
        assert p[0:5] == b"frame"
        assert k.dma.swiotlb.used == 0
        kfree(p)

    def test_memory_below_it_is_not(self, k, dev):
        p = kzalloc(100, GFP_KERNEL | GFP_DMA)
        handle = checked(dev, dma_map_single(dev, p, 100, DMA_TO_DEVICE))
        assert handle == p - k.layout.page_offset
        assert not dma_need_sync(dev, handle)
        dma_unmap_single(dev, handle, 100, DMA_TO_DEVICE)
        kfree(p)

    def test_a_bounced_mapping_has_a_limit(self, k, dev):
        assert dma_addressing_limited(dev)
        assert dma_max_mapping_size(dev) == 256 << 10
        p = kzalloc(512 << 10, GFP_KERNEL)
        assert dma_map_single(dev, p, 512 << 10, DMA_TO_DEVICE) == DMA_MAPPING_ERROR
        assert "swiotlb buffer is full (sz: 524288 bytes), total 32768 (slots), used 0 (slots)" in k.dmesg()
        kfree(p)

    def test_buffers_run_out(self):
        with kmock.boot(cmdline="swiotlb=128,force") as k:
            dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
            p = kzalloc(256 << 10, GFP_KERNEL)
            first = checked(dev, dma_map_single(dev, p, 200 << 10, DMA_TO_DEVICE))
            assert dma_mapping_error(dev, dma_map_single(dev, p + (200 << 10), 56 << 10, DMA_TO_DEVICE)) == 0
            assert dma_mapping_error(dev, dma_map_single(dev, p, 4096, DMA_TO_DEVICE)) == -ENOMEM
            for handle, size in [(m.dma, m.size) for m in k.dma.debug]:
                dma_unmap_single(dev, handle, size, DMA_TO_DEVICE)
            assert first
            kfree(p)
        assert not k.reports

    def test_a_list_is_mapped_whole_or_not_at_all(self):
        with kmock.boot(cmdline="swiotlb=128,force") as k:
            dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
            p = kzalloc(512 << 10, GFP_KERNEL)
            sg = [scatterlist() for _ in range(2)]
            sg_init_table(sg, 2)
            sg_set_buf(sg[0], p, 4096)
            sg_set_buf(sg[1], p + 4096, 300 << 10)
            assert dma_map_sg(dev, sg, 2, DMA_TO_DEVICE) == 0
            assert k.dma.swiotlb.used == 0
            kfree(p)
        assert not k.reports


def test_an_iommu_gives_addresses_back():
    with kmock.boot(iommu=True) as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p = kzalloc(64 << 10, GFP_KERNEL)
        seen = set()
        for n in range(1, 65):
            handle = checked(dev, dma_map_single(dev, p, 1024 * n, DMA_TO_DEVICE))
            assert handle % 4096 == p % 4096
            seen.add(handle)
            dma_unmap_single(dev, handle, 1024 * n, DMA_TO_DEVICE)
        assert len(seen) == 5  # one for each power of two pages
        kfree(p)


def test_an_iommu_runs_out_of_addresses():
    with kmock.boot(iommu=True) as k:
        dev = k.device("tiny", dma_mask=0x3FFF)
        p = kzalloc(64 << 10, GFP_KERNEL)
        assert dma_map_single(dev, p, 64 << 10, DMA_TO_DEVICE) == DMA_MAPPING_ERROR
        sg = scatterlist()
        sg_init_one(sg, p, 64 << 10)
        assert dma_map_sg(dev, sg, 1, DMA_TO_DEVICE) == 0
        kfree(p)
    assert not k.reports


def test_an_iommu_hands_no_address_out_twice():
    with kmock.boot(iommu=True) as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p = kzalloc(64 << 10, GFP_KERNEL)
        live = []
        for round in range(40):
            sg = [scatterlist() for _ in range(3)]
            sg_init_table(sg, 3)
            for i, (at, size) in enumerate([(0, 0x1000 * (1 + round % 3)), (0x4000, 0x2100), (0x8000, 0x1000)]):
                sg_set_buf(sg[i], p + at, size)
            assert dma_map_sg(dev, sg, 3, DMA_TO_DEVICE)
            live.append(sg)
            if round % 3 == 2:
                dma_unmap_sg(dev, live.pop(round % len(live)), 3, DMA_TO_DEVICE)
            ranges = sorted((m.dma >> 12, m.end - 1 >> 12) for m in k.dma.debug)
            assert all(end < start for (_, end), (start, _) in pairwise(ranges))
        for sg in live:
            dma_unmap_sg(dev, sg, 3, DMA_TO_DEVICE)
        kfree(p)
    assert not k.reports
