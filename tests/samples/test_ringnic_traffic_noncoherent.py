"""100,000 frames through the card with descriptor rings, where caches don't see what the card does to memory."""

from __future__ import annotations

import pytest

from tests.samples.test_ringnic_traffic import every_frame_comes_back


@pytest.mark.parametrize("machine", ["noncoherent", "noncoherent-iommu"])
def test_every_frame_comes_back(machine):
    every_frame_comes_back(machine)
