"""100,000 frames through the card with descriptor rings: nothing is lost, changed, overtaken or left, on any machine.

Machines without coherent caches are in a file of their own, so that two workers share the time.
"""

from __future__ import annotations

import pytest

import kmock
from tests.samples.test_ringnic import DRIVER, MACHINES, exchange

FRAMES = 100_000


def every_frame_comes_back(machine):
    with kmock.boot(**MACHINES[machine]) as k:
        stack = exchange(k, DRIVER, FRAMES)
        assert (stack.received, stack.wrong, stack.nic.dropped) == (FRAMES, [], 0)
        assert list(k.dma.debug) == []
    assert [str(r) for r in k.reports] == []


@pytest.mark.parametrize("machine", ["coherent", "coherent-iommu"])
def test_every_frame_comes_back(machine):
    every_frame_comes_back(machine)
