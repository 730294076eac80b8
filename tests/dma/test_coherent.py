"""Memory for processor and device at once."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.dma_mapping import (
    DMA_BIDIRECTIONAL,
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_MAPPING_ERROR,
    dma_alloc_attrs,
    dma_alloc_coherent,
    dma_alloc_noncoherent,
    dma_alloc_pages,
    dma_alloc_wc,
    dma_free_attrs,
    dma_free_coherent,
    dma_free_noncoherent,
    dma_free_pages,
    dma_free_wc,
    dma_mapping_error,
    dmam_alloc_attrs,
    dmam_alloc_coherent,
    dmam_free_coherent,
)
from kmock.linux.gfp import GFP_DMA, GFP_KERNEL
from kmock.linux.types import NULL


@pytest.fixture(params=[{}, {"iommu": True}, {"dma_coherent": False}], ids=["direct", "iommu", "noncoherent"])
def k(request):
    with kmock.boot(**request.param) as kernel:
        yield kernel
    assert not kernel.reports


@pytest.fixture
def dev(k):
    return k.device("nic", dma_mask=DMA_BIT_MASK(32))


@pytest.mark.parametrize("size", [1, 4096, 4097, 65536])
def test_coherent_memory_is_zeroed_and_aligned(k, dev, size):
    vaddr, dma = dma_alloc_coherent(dev, size, GFP_KERNEL)
    whole = 4096 << (size - 1 >> 12).bit_length()
    assert vaddr % 4096 == 0
    assert dma % whole == 0
    assert vaddr[0:size] == bytes(size)
    dma_free_coherent(dev, size, vaddr, dma)


def test_both_sides_see_coherent_memory_at_once(k, dev):
    vaddr, dma = dma_alloc_attrs(dev, 64, GFP_KERNEL, 0)
    vaddr[0:4] = b"ring"
    assert k.dma_read(dev, dma, 4) == b"ring"
    k.dma_write(dev, dma + 4, b"done")
    assert vaddr[0:8] == b"ringdone"
    dma_free_attrs(dev, 64, vaddr, dma, 0)


def test_the_coherent_mask_decides_the_zone(k, dev):
    dev.coherent_dma_mask = DMA_BIT_MASK(24)
    vaddr, dma = dma_alloc_wc(dev, 4096, GFP_KERNEL)
    assert dma < 1 << 24
    dma_free_wc(dev, 4096, vaddr, dma)


def test_pages_are_mapped_from_the_start(k, dev):
    page, dma = dma_alloc_pages(dev, 4096, DMA_FROM_DEVICE, GFP_KERNEL)
    assert dma_mapping_error(dev, dma) == 0
    k.dma_write(dev, dma, b"frame")
    dma_free_pages(dev, 4096, page, dma, DMA_FROM_DEVICE)


def test_noncoherent_memory_by_address(k, dev):
    vaddr, dma = dma_alloc_noncoherent(dev, 100, DMA_BIDIRECTIONAL, GFP_KERNEL)
    assert vaddr
    assert dma_mapping_error(dev, dma) == 0
    dma_free_noncoherent(dev, 100, vaddr, dma, DMA_BIDIRECTIONAL)


def test_managed_memory_goes_with_the_driver(k, dev):
    vaddr, dma = dmam_alloc_coherent(dev, 4096, GFP_KERNEL)
    assert vaddr
    assert dma != DMA_MAPPING_ERROR
    early, dma = dmam_alloc_attrs(dev, 4096, GFP_KERNEL, 0)
    dmam_free_coherent(dev, 4096, early, dma)


def test_without_memory_there_is_neither_address():
    with kmock.boot() as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        k.faults.fail_nth(1)
        assert dma_alloc_coherent(dev, 4096, GFP_KERNEL) == (NULL, DMA_MAPPING_ERROR)


def test_zone_bits_are_no_way_to_ask_for_low_memory():
    with kmock.boot(lint=True) as k:
        dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        with k.expect("dma-coherent-gfp-zone"), k.expect("dma-mask-unset"):
            vaddr, dma = dma_alloc_coherent(dev, 4096, GFP_KERNEL | GFP_DMA)
        dma_free_coherent(dev, 4096, vaddr, dma)
