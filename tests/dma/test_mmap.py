"""Coherent memory that a process sees."""

from __future__ import annotations

import os
from contextlib import contextmanager
from errno import ENXIO
from mmap import MAP_SHARED, PROT_READ, PROT_WRITE

import pytest

from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    dma_alloc_coherent,
    dma_free_coherent,
    dma_mmap_attrs,
    dma_mmap_coherent,
    dma_mmap_wc,
)
from kmock.linux.fs import file_operations
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice

PAGE = 4096
SIZE = 3 * PAGE


@pytest.fixture
def dev(kernel):
    return kernel.device("frames", dma_mask=DMA_BIT_MASK(32))


@contextmanager
def showing(kernel, dev, how, size=SIZE):
    """Show coherent memory by a function of the DMA API: process, descriptor, address and handle."""
    vaddr, handle = dma_alloc_coherent(dev, SIZE, GFP_KERNEL)
    operations = file_operations(mmap=lambda file, vma: how(dev, vma, vaddr, handle, size))
    frames = miscdevice(name="frames", fops=operations)
    misc_register(frames)
    process = kernel.user()
    yield process, process.open("/dev/frames", os.O_RDWR), vaddr, handle
    process.exit()
    misc_deregister(frames)
    dma_free_coherent(dev, SIZE, vaddr, handle)


WAYS = [dma_mmap_coherent, dma_mmap_wc, lambda *arguments: dma_mmap_attrs(*arguments, 0)]


@pytest.mark.parametrize("how", WAYS, ids=["coherent", "wc", "attrs"])
def test_process_driver_and_device_see_the_same_bytes(kernel, dev, how):
    with showing(kernel, dev, how) as (process, fd, vaddr, handle):
        at = process.mmap(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED)
        process.store(at + 2 * PAGE, b"from the process")
        assert vaddr[2 * PAGE : 2 * PAGE + 16] == b"from the process"
        assert kernel.dma_read(dev, handle + 2 * PAGE, 16) == b"from the process"
        kernel.dma_write(dev, handle, b"from the device")
        assert process.load(at, 15) == b"from the device"


def test_the_offset_counts_in_pages(kernel, dev):
    with showing(kernel, dev, dma_mmap_coherent) as (process, fd, vaddr, _):
        vaddr[PAGE : PAGE + 4] = b"next"
        assert process.load(process.mmap(fd, PAGE, PROT_READ, MAP_SHARED, PAGE), 4) == b"next"


@pytest.mark.parametrize(("length", "offset"), [(4 * PAGE, 0), (3 * PAGE, PAGE), (PAGE, 3 * PAGE)])
def test_more_than_there_is_is_refused(kernel, dev, length, offset):
    with showing(kernel, dev, dma_mmap_coherent) as (process, fd, _, _):
        with pytest.raises(OSError) as failed:
            process.mmap(fd, length, PROT_READ, MAP_SHARED, offset)
        assert failed.value.errno == ENXIO


def test_a_size_beyond_the_allocation_is_reported(kernel, dev):
    bad = kernel.expect("dma-mmap-coherent-bad")
    with showing(kernel, dev, dma_mmap_coherent, 64 * PAGE) as (process, fd, _, _), bad:
        process.mmap(fd, PAGE, PROT_READ, MAP_SHARED)
