"""A driver and a device that share buffers, against a plain model of what each of them sees."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

import kmock
from kmock.linux.dma_mapping import (
    DMA_BIDIRECTIONAL,
    DMA_BIT_MASK,
    DMA_FROM_DEVICE,
    DMA_TO_DEVICE,
    dma_map_single,
    dma_mapping_error,
    dma_sync_single_for_cpu,
    dma_sync_single_for_device,
    dma_unmap_single,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

SIZE = 256


@dataclass(eq=False)
class Shared:
    p: object
    handle: int
    direction: int
    cpu: bytearray
    """What the driver sees."""
    device: bytearray
    """What the device sees."""
    cpus: bool = False
    """Whether it is the driver's."""


class Sharing(RuleBasedStateMachine):
    """Only what is allowed is done, so that nothing may be reported; memory is the model's."""

    buffers = Bundle("buffers")
    boot = MappingProxyType({})

    @initialize()
    def begin(self):
        self.k = kmock.boot(**self.boot)
        self.dev = self.k.device("nic", dma_mask=DMA_BIT_MASK(32))
        self.live = []

    @rule(
        target=buffers,
        direction=st.sampled_from([DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL]),
        fill=st.binary(max_size=SIZE),
    )
    def map(self, direction, fill):
        p = kzalloc(SIZE, GFP_KERNEL)
        p[0 : len(fill)] = fill
        handle = dma_map_single(self.dev, p, SIZE, direction)
        assert dma_mapping_error(self.dev, handle) == 0
        view = bytearray(fill.ljust(SIZE, b"\0"))
        shared = Shared(p, handle, direction, view, bytearray(view))
        self.live.append(shared)
        return shared

    @rule(b=buffers, at=st.integers(0, SIZE - 1), data=st.binary(min_size=1, max_size=16))
    def device_writes(self, b, at, data):
        if b.direction == DMA_TO_DEVICE or b.cpus:
            return
        data = data[: SIZE - at]
        self.k.dma_write(self.dev, b.handle + at, data)
        b.device[at : at + len(data)] = data

    @rule(b=buffers)
    def device_reads(self, b):
        if b.direction != DMA_FROM_DEVICE and not b.cpus:
            assert self.k.dma_read(self.dev, b.handle, SIZE) == b.device

    @rule(b=buffers)
    def sync_for_cpu(self, b):
        if b.cpus:
            return
        dma_sync_single_for_cpu(self.dev, b.handle, SIZE, b.direction)
        b.cpus = True
        if b.direction != DMA_TO_DEVICE:
            b.cpu[:] = b.device

    @rule(b=buffers)
    def sync_for_device(self, b):
        if not b.cpus:
            return
        dma_sync_single_for_device(self.dev, b.handle, SIZE, b.direction)
        b.cpus = False
        b.device[:] = b.cpu

    @rule(b=buffers, at=st.integers(0, SIZE - 1), data=st.binary(min_size=1, max_size=16))
    def driver_writes(self, b, at, data):
        # What the device writes is for the driver to read only.
        if not b.cpus or b.direction == DMA_FROM_DEVICE:
            return
        data = data[: SIZE - at]
        b.p[at : at + len(data)] = data
        b.cpu[at : at + len(data)] = data

    @rule(b=buffers)
    def driver_reads(self, b):
        if b.cpus:
            assert b.p[0:SIZE] == b.cpu

    @rule(b=consumes(buffers))
    def unmap(self, b):
        if b.cpus and b.direction != DMA_TO_DEVICE:
            # What the driver wrote would be lost.
            self.sync_for_device(b)
        self.live.remove(b)
        dma_unmap_single(self.dev, b.handle, SIZE, b.direction)
        if b.direction != DMA_TO_DEVICE:
            b.cpu[:] = b.device
        assert b.p[0:SIZE] == b.cpu
        kfree(b.p)

    def teardown(self):
        for b in list(self.live):
            self.unmap(b)
        self.k.shutdown()
        assert [str(r) for r in self.k.reports] == []


class OnNoncoherent(Sharing):
    """Caches that don't see the device."""

    boot = MappingProxyType({"dma_coherent": False})


class BehindIommu(Sharing):
    """The same, and addresses of the device's own."""

    boot = MappingProxyType({"dma_coherent": False, "iommu": True})


class Bounced(Sharing):
    """Every mapping is a copy."""

    boot = MappingProxyType({"cmdline": "swiotlb=force"})


_SOME = settings(max_examples=20, stateful_step_count=20, deadline=None)
TestOnNoncoherent = OnNoncoherent.TestCase
TestOnNoncoherent.settings = _SOME
TestBehindIommu = BehindIommu.TestCase
TestBehindIommu.settings = _SOME
TestBounced = Bounced.TestCase
TestBounced.settings = _SOME
