"""Short exchanges of frames, with the scheduler choosing what goes on at every step: the sender, the card, its interrupt."""

from __future__ import annotations

import pytest

from sample_drivers.ringnic_hw import DEVICE, SIZE, VENDOR, RingNic
from sample_drivers.ringnic_stack import Stack


def exchange(kernel, *, frames=3, ring_size=2):
    """Send through rings that are full at once, wait for all that comes back, and let the driver go."""
    pdev = kernel.pci_device(VENDOR, DEVICE, {0: SIZE}, RingNic())
    module = kernel.insmod("sample_drivers.ringnic", ring_size=ring_size)
    stack = Stack(module, pdev)
    kernel.join(kernel.spawn(stack.send, frames, cpu=0))
    stack.settle()
    assert (stack.received, stack.wrong, stack.nic.dropped) == (frames, [], 0)
    kernel.rmmod(module)


@pytest.mark.interleave(runs=150)
def test_frames_come_back(kernel):
    exchange(kernel)


@pytest.mark.kernel(dma_coherent=False, iommu=True)
@pytest.mark.interleave(strategy="random", runs=100)
def test_frames_come_back_by_an_iommu_without_coherent_caches(kernel):
    exchange(kernel)


@pytest.mark.interleave(runs=50)
def test_the_driver_goes_while_frames_are_on_their_way(kernel):
    pdev = kernel.pci_device(VENDOR, DEVICE, {0: SIZE}, RingNic())
    module = kernel.insmod("sample_drivers.ringnic", ring_size=2)
    stack = Stack(module, pdev)
    kernel.join(kernel.spawn(stack.send, 2))
    kernel.rmmod(module)
    assert stack.received <= 2
    assert stack.wrong == []
