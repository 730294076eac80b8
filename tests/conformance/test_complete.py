"""Nothing that was recorded is forgotten."""

from __future__ import annotations

import pytest

from tests.conformance.recordings import recorded
from tests.conformance.replay import registry
from tests.conformance.summary import load

# Areas whose subsystems are built: each scenario is replayed, or waits for something that is named.
BUILT = ("slab", "page", "context", "oops", "kmemleak", "faults", "locks", "ioremap")


@pytest.mark.parametrize("area", BUILT)
def test_every_recording_is_replayed_or_waits_for_a_reason(area):
    load()
    forgotten = recorded(area).keys() - registry.replayed.keys() - registry.pending.keys()
    assert not sorted(forgotten)
