"""dma-debug: its files, its switches, and what is told when."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.device import devres_release_all
from kmock.linux.dma_mapping import (
    DMA_ATTR_SKIP_CPU_SYNC,
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_MAPPING_ERROR,
    DMA_TO_DEVICE,
    dma_alloc_coherent,
    dma_free_coherent,
    dma_map_sg,
    dma_map_single,
    dma_map_single_attrs,
    dma_mapping_error,
    dma_sync_single_for_device,
    dma_unmap_sg,
    dma_unmap_single,
)
from kmock.linux.gfp import GFP_KERNEL, free_page
from kmock.linux.platform_device import platform_device_unregister, platform_driver, platform_driver_register
from kmock.linux.scatterlist import scatterlist, sg_init_one
from kmock.linux.slab import kfree, kzalloc

ROOT = "/sys/kernel/debug/dma-api"


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        yield kernel


def mapped(dev, size=256, direction=DMA_TO_DEVICE):
    p = kzalloc(size, GFP_KERNEL)
    handle = dma_map_single(dev, p, size, direction)
    return p, handle


class TestFiles:
    def test_entries_are_counted(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        assert k.read_file(f"{ROOT}/nr_total_entries") == k.read_file(f"{ROOT}/num_free_entries") == "65536\n"
        p, handle = mapped(dev)
        assert k.read_file(f"{ROOT}/num_free_entries") == "65535\n"
        assert dma_mapping_error(dev, handle) == 0
        dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
        kfree(p)
        assert k.read_file(f"{ROOT}/num_free_entries") == "65536\n"
        assert k.read_file(f"{ROOT}/min_free_entries") == "65535\n"

    def test_the_dump_has_every_mapping(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p, handle = mapped(dev)
        index = handle >> 13 & 0x3FFF
        row = f"nic nic single idx {index} P={handle:x} N={handle >> 12:x} D={handle:x} L=100 DMA_TO_DEVICE "
        assert k.read_file(f"{ROOT}/dump") == row + "dma map error not checked\n"
        dma_mapping_error(dev, handle)
        assert k.read_file(f"{ROOT}/dump") == row + "dma map error checked\n"
        dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
        kfree(p)

    def test_errors_are_counted(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p, handle = mapped(dev)
        with k.expect("dma-map-error-unchecked"):
            dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
        kfree(p)
        assert k.read_file(f"{ROOT}/error_count") == "1\n"
        assert k.read_file(f"{ROOT}/disabled") == "N\n"
        with pytest.raises(OSError, match="Permission denied"):
            k.write_file(f"{ROOT}/error_count", "0")
        k.write_file(f"{ROOT}/all_errors", "1")
        assert k.read_file(f"{ROOT}/all_errors") == "1\n"

    def test_a_filter_leaves_one_driver(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        k.write_file(f"{ROOT}/driver_filter", "disk")
        p, handle = mapped(dev)
        dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
        kfree(p)
        assert k.read_file(f"{ROOT}/driver_filter") == "disk\n"
        k.write_file(f"{ROOT}/driver_filter", "-")
        assert k.read_file(f"{ROOT}/driver_filter") == ""
        assert "DMA-API: switching off dma-debug driver filter" in k.dmesg()
        k.shutdown()
        assert not k.reports


def test_it_can_be_switched_off():
    with kmock.boot(cmdline="dma_debug=off") as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p, handle = mapped(dev)
        dma_unmap_single(dev, handle, 128, DMA_FROM_DEVICE)
        kfree(p)
        assert k.read_file(f"{ROOT}/disabled") == "Y\n"
    assert not k.reports


def test_the_pool_of_entries_grows():
    with kmock.boot(cmdline="dma_debug_entries=32") as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        held = [dma_alloc_coherent(dev, 4096, GFP_KERNEL) for _ in range(40)]
        assert "DMA-API: dma_debug_entry pool grown to 64 (200%)" in k.dmesg()
        for vaddr, dma in held:
            dma_free_coherent(dev, 4096, vaddr, dma)
    assert not k.reports


def test_what_a_driver_leaves_is_told_when_it_goes(k):
    left = []

    def probe(pdev):
        left.append(dma_alloc_coherent(pdev.dev, 4096, GFP_KERNEL))
        k.dma_write(pdev, left[0][1], b"the bus knows it by either")
        return 0

    platform_driver_register(platform_driver(probe=probe, driver={"name": "nic"}))
    pdev = k.platform_device("nic")
    with k.expect("dma-coherent-leak") as found:
        platform_device_unregister(pdev)
    assert found[0].where.function == "probe"
    assert found[0].attributes["count"] == 1


def test_what_a_test_leaves_is_told_when_its_call_ends(k):
    dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
    k.census.begin_call()
    p, handle = mapped(dev)
    dma_mapping_error(dev, handle)
    with k.expect("leak-*"), k.expect("dma-map-leak") as found:
        k.census.end_call()
    assert len(found) == 1
    dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
    kfree(p)


class TestFaults:
    @pytest.mark.parametrize("iommu", [False, True])
    def test_a_mapping_can_be_made_to_fail(self, iommu):
        with kmock.boot(iommu=iommu) as k:
            dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
            p = kzalloc(256, GFP_KERNEL)
            k.faults.fail_nth(1)
            assert dma_map_single(dev, p, 256, DMA_TO_DEVICE) == DMA_MAPPING_ERROR
            sg = scatterlist()
            sg_init_one(sg, p, 256)
            k.faults.fail_nth(1)
            assert dma_map_sg(dev, sg, 1, DMA_TO_DEVICE) == 0
            assert dma_map_sg(dev, sg, 1, DMA_TO_DEVICE) == 1
            dma_unmap_sg(dev, sg, 1, DMA_TO_DEVICE)
            kfree(p)
        assert not k.reports

    def test_failslab_leaves_direct_mappings_alone(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p = kzalloc(256, GFP_KERNEL)
        k.faults.failslab(probability=100, times=-1)
        handle = dma_map_single(dev, p, 256, DMA_TO_DEVICE)
        assert dma_mapping_error(dev, handle) == 0
        k.faults.clear()
        dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
        kfree(p)


def test_a_machine_without_detectors_says_nothing():
    with kmock.boot("nodebug") as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p, handle = mapped(dev, direction=DMA_FROM_DEVICE)
        p[0] = 1
        k.dma_write(dev, handle + 200, b"beyond" * 20)
        kfree(p)
        vaddr, _ = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
        assert vaddr
    assert not [r for r in k.reports if r.kind.startswith("dma-map") or "free" in r.kind]


class TestWhatIsLikeIt:
    def test_coherent_memory_has_one_way_back(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        vaddr, _ = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
        with k.expect("kfree-of-coherent"):
            free_page(vaddr)
        k.shutdown()
        assert not k.reports.unexpected

    def test_a_list_that_failed_has_nothing_to_unmap(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(24))
        p = kzalloc(256, GFP_KERNEL)
        sg = scatterlist()
        sg_init_one(sg, p, 256)
        with k.expect("dma-map-beyond-mask"):
            assert dma_map_sg(dev, sg, 1, DMA_TO_DEVICE) == 0
        with k.expect("dma-map-sg-zero-unchecked"):
            dma_unmap_sg(dev, sg, 1, DMA_TO_DEVICE)
        kfree(p)

    def test_a_device_that_is_gone_is_no_device(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        devres_release_all(dev)
        p = kzalloc(256, GFP_KERNEL)
        with k.expect("dma-after-release"):
            handle = dma_map_single(dev, p, 256, DMA_TO_DEVICE)
        dma_mapping_error(dev, handle)
        dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
        kfree(p)

    def test_an_unmap_must_not_sync_what_the_driver_never_did(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        p = kzalloc(256, GFP_KERNEL)
        for synced in (True, False):
            handle = dma_map_single_attrs(dev, p, 256, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC)
            dma_mapping_error(dev, handle)
            if synced:
                dma_sync_single_for_device(dev, handle, 256, DMA_TO_DEVICE)
                dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
            else:
                with k.expect("dma-unmap-attrs"):
                    dma_unmap_single(dev, handle, 256, DMA_TO_DEVICE)
        kfree(p)

    def test_coherent_memory_that_was_freed_is_not_the_devices_any_more(self, k):
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        vaddr, dma = dma_alloc_coherent(dev, 4096, GFP_KERNEL)
        dma_free_coherent(dev, 4096, vaddr, dma)
        with k.expect("dma-device-after-unmap") as found:
            k.dma_write(dev, dma, b"late")
        assert {"mapped", "unmapped"} <= found[0].stacks.keys()
