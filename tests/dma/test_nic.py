"""A network card that loops frames back: rings in coherent memory, buffers that are mapped and synced."""

from __future__ import annotations

import pytest

import kmock
from kmock.linux.dma_mapping import (
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    dma_alloc_coherent,
    dma_free_coherent,
    dma_map_single,
    dma_mapping_error,
    dma_sync_single_for_cpu,
    dma_sync_single_for_device,
    dma_unmap_single,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MACHINES = {
    "direct": {},
    "iommu": {"iommu": True},
    "noncoherent": {"dma_coherent": False},
    "noncoherent-iommu": {"dma_coherent": False, "iommu": True},
    "bounced": {"cmdline": "swiotlb=force"},
}
SLOTS = 8
SIZE = 256


class Nic:
    """The device: takes frames from one ring and puts them into the buffers of the other."""

    def __init__(self, k, dev, tx, rx):
        self.k, self.dev, self.tx, self.rx = k, dev, tx, rx
        self.done = 0

    def descriptor(self, ring, slot):
        raw = self.k.dma_read(self.dev, ring + 16 * slot, 16)
        return int.from_bytes(raw[0:8], "little"), int.from_bytes(raw[8:12], "little")

    def loop_back(self):
        slot = self.done % SLOTS
        buffer, length = self.descriptor(self.tx, slot)
        frame = self.k.dma_read(self.dev, buffer, length)
        self.k.dma_write(self.dev, self.descriptor(self.rx, slot)[0], frame)
        self.k.dma_write(self.dev, self.rx + 16 * slot + 8, length.to_bytes(4, "little"))
        self.done += 1


class Driver:
    """The driver: maps each frame it sends, and syncs the buffers it receives into."""

    def __init__(self, k, *, sync=True):
        self.k, self.sync = k, sync
        self.dev = k.device("nic", dma_mask=DMA_BIT_MASK(32))
        self.tx, self.tx_dma = dma_alloc_coherent(self.dev, 16 * SLOTS, GFP_KERNEL)
        self.rx, self.rx_dma = dma_alloc_coherent(self.dev, 16 * SLOTS, GFP_KERNEL)
        self.nic = Nic(k, self.dev, self.tx_dma, self.rx_dma)
        self.buffers = [kmalloc(SIZE, GFP_KERNEL) for _ in range(SLOTS)]
        self.handles = [self.map(p, SIZE, DMA_FROM_DEVICE) for p in self.buffers]
        for slot, handle in enumerate(self.handles):
            self.rx.le64[2 * slot] = handle

    def map(self, p, size, direction):
        handle = dma_map_single(self.dev, p, size, direction)
        assert dma_mapping_error(self.dev, handle) == 0
        return handle

    def send_and_receive(self, number, frame):
        slot = number % SLOTS
        p = kmalloc(len(frame), GFP_KERNEL)
        p[0 : len(frame)] = frame
        handle = self.map(p, len(frame), DMA_TO_DEVICE)
        self.tx.le64[2 * slot] = handle
        self.tx.le32[4 * slot + 2] = len(frame)
        self.nic.loop_back()
        dma_unmap_single(self.dev, handle, len(frame), DMA_TO_DEVICE)
        kfree(p)
        length = self.rx.le32[4 * slot + 2]
        if self.sync:
            dma_sync_single_for_cpu(self.dev, self.handles[slot], SIZE, DMA_FROM_DEVICE)
        got = self.buffers[slot][0:length]
        dma_sync_single_for_device(self.dev, self.handles[slot], SIZE, DMA_FROM_DEVICE)
        return got

    def close(self):
        for p, handle in zip(self.buffers, self.handles, strict=True):
            dma_unmap_single(self.dev, handle, SIZE, DMA_FROM_DEVICE)
            kfree(p)
        dma_free_coherent(self.dev, 16 * SLOTS, self.tx, self.tx_dma)
        dma_free_coherent(self.dev, 16 * SLOTS, self.rx, self.rx_dma)


def frame_of(number):
    return f"frame {number} ".encode() * (1 + number % 12)


@pytest.mark.parametrize("machine", MACHINES)
def test_frames_pass_in_order_and_nothing_is_left(machine):
    with kmock.boot(**MACHINES[machine]) as k:
        driver = Driver(k)
        for number in range(1000):
            assert driver.send_and_receive(number, frame_of(number)) == frame_of(number)
        driver.close()
    assert not k.reports


def test_a_missing_sync_shows_stale_data_where_caches_are_not_coherent():
    with kmock.boot(dma_coherent=False) as k:
        driver = Driver(k, sync=False)
        with k.expect("dma-sync-missing-cpu"):
            assert driver.send_and_receive(0, frame_of(0)) != frame_of(0)
        driver.close()


def test_a_missing_sync_is_reported_where_it_does_no_harm():
    with kmock.boot() as k:
        driver = Driver(k, sync=False)
        with k.expect("dma-sync-missing-cpu"):
            assert driver.send_and_receive(0, frame_of(0)) == frame_of(0)
        driver.close()
