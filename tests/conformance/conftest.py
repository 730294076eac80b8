"""Makes a test of each scenario."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.conformance.replay import Replay, run
from tests.conformance.summary import EXCEPTED, PASSED


class ReplayItem(pytest.Function):
    """The test that replays one scenario; its name is the scenario's id."""

    def runtest(self) -> None:
        replay: Replay = self.obj()
        self.user_properties.append((PASSED, replay.id))
        self.user_properties.append((EXCEPTED, {f"{replay.id} {key}": why for key, why in replay.excepted.items()}))


def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> list[pytest.Item] | None:
    entries = getattr(obj, "scenarios", None)
    if entries is None or not callable(obj):
        return None
    return [
        ReplayItem.from_parent(collector, name=entry.id, callobj=functools.partial(run, entry)) for entry in entries
    ]
