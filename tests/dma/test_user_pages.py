"""Devices that read and write the memory of a process: pinned, in a list, mapped, and given back."""

from __future__ import annotations

import mmap

import pytest

import kmock
from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    dma_map_sgtable,
    dma_unmap_sgtable,
)
from kmock.linux.mm import (
    FOLL_WRITE,
    PAGE_SIZE,
    offset_in_page,
    pin_user_pages_fast,
    unpin_user_pages,
    unpin_user_pages_dirty_lock,
)
from kmock.linux.scatterlist import (
    for_each_sgtable_dma_sg,
    sg_alloc_table_from_pages,
    sg_dma_address,
    sg_dma_len,
    sg_free_table,
    sg_table,
)
from kmock.linux.slab import GFP_KERNEL

RW = mmap.PROT_READ | mmap.PROT_WRITE
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
LENGTH = 2 * PAGE_SIZE + 5


class Transfer:
    """A transfer between a device and the buffer of the process that runs."""

    def __init__(self, k, address, length, direction):
        self.dev = k.device("nic", dma_mask=DMA_BIT_MASK(64))
        self.direction = direction
        offset = offset_in_page(address)
        wanted = (offset + length + PAGE_SIZE - 1) // PAGE_SIZE
        n, self.pages = pin_user_pages_fast(address, wanted, FOLL_WRITE if direction == DMA_FROM_DEVICE else 0)
        assert n == wanted
        self.table = sg_table()
        assert sg_alloc_table_from_pages(self.table, self.pages, n, offset, length, GFP_KERNEL) == 0
        assert dma_map_sgtable(self.dev, self.table, direction, 0) == 0

    def segments(self):
        return [(sg_dma_address(sg), sg_dma_len(sg)) for sg, _ in for_each_sgtable_dma_sg(self.table)]

    def end(self, *, dirty):
        dma_unmap_sgtable(self.dev, self.table, self.direction, 0)
        sg_free_table(self.table)
        if dirty:
            unpin_user_pages_dirty_lock(self.pages, len(self.pages), True)
        else:
            unpin_user_pages(self.pages, len(self.pages))


def write(k, transfer, data):
    for address, length in transfer.segments():
        k.dma_write(transfer.dev, address, data[:length])
        data = data[length:]


@pytest.fixture(params=[{}, {"dma_coherent": False}, {"iommu": True}], ids=["coherent", "incoherent", "iommu"])
def machine(request):
    return request.param


def test_the_process_sees_what_the_device_wrote(machine):
    with kmock.boot(**machine) as k:
        p = k.user()
        at = p.mmap(-1, 4 * PAGE_SIZE, RW, ANONYMOUS) + 100
        data = bytes(i % 251 for i in range(LENGTH))
        transfer = Transfer(k, at, LENGTH, DMA_FROM_DEVICE)
        write(k, transfer, data)
        transfer.end(dirty=True)
        assert p.load(at - 1, LENGTH + 2) == b"\0" + data + b"\0"


def test_the_device_sees_what_the_process_wrote(machine):
    with kmock.boot(**machine) as k:
        p = k.user()
        data = bytes(i % 249 for i in range(LENGTH))
        at = p.buffer(data)
        transfer = Transfer(k, at, LENGTH, DMA_TO_DEVICE)
        seen = b"".join(k.dma_read(transfer.dev, address, n) for address, n in transfer.segments())
        transfer.end(dirty=False)
        assert seen == data


def test_what_a_device_wrote_has_to_be_said(machine):
    with kmock.boot(**machine) as k, k.expect("gup-missing-dirty") as found:
        p = k.user()
        at = p.mmap(-1, 4 * PAGE_SIZE, RW, ANONYMOUS)
        transfer = Transfer(k, at, LENGTH, DMA_FROM_DEVICE)
        write(k, transfer, bytes(LENGTH))
        transfer.end(dirty=False)
    assert found[0].where.function == "end"


def test_pages_are_given_back_when_the_device_has_let_go_of_them(machine):
    with kmock.boot(**machine) as k, k.expect("gup-use-after-unpin", count=2) as found:
        p = k.user()
        at = p.mmap(-1, 4 * PAGE_SIZE, RW, ANONYMOUS)
        transfer = Transfer(k, at, 2 * PAGE_SIZE, DMA_FROM_DEVICE)
        unpin_user_pages_dirty_lock(transfer.pages, 2, True)
        dma_unmap_sgtable(transfer.dev, transfer.table, DMA_FROM_DEVICE, 0)
        sg_free_table(transfer.table)
    assert "given back while the device has it" in found[0].lines[0]
    assert "mapped" in found[0].stacks
