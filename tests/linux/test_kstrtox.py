"""Numbers out of text: the bounds of each type, and what is no number."""

from __future__ import annotations

from errno import EINVAL, ERANGE

import pytest

from kmock.linux import kstrtox

BOUNDS = {
    "kstrtos8": (-(1 << 7), (1 << 7) - 1),
    "kstrtou8": (0, (1 << 8) - 1),
    "kstrtos16": (-(1 << 15), (1 << 15) - 1),
    "kstrtou16": (0, (1 << 16) - 1),
    "kstrtoint": (-(1 << 31), (1 << 31) - 1),
    "kstrtouint": (0, (1 << 32) - 1),
    "kstrtos32": (-(1 << 31), (1 << 31) - 1),
    "kstrtou32": (0, (1 << 32) - 1),
    "kstrtol": (-(1 << 63), (1 << 63) - 1),
    "kstrtoul": (0, (1 << 64) - 1),
    "kstrtoll": (-(1 << 63), (1 << 63) - 1),
    "kstrtoull": (0, (1 << 64) - 1),
    "kstrtos64": (-(1 << 63), (1 << 63) - 1),
    "kstrtou64": (0, (1 << 64) - 1),
}


@pytest.mark.parametrize(("name", "low", "high"), [(name, *bounds) for name, bounds in BOUNDS.items()])
def test_a_number_up_to_its_types_bounds(kernel, name, low, high):
    parse = getattr(kstrtox, name)
    assert parse(str(high), 10) == (0, high)
    assert parse(str(low), 10) == (0, low)
    assert parse(str(high + 1), 10)[0] == -ERANGE
    assert parse(str(low - 1), 10)[0] == (-ERANGE if low else -EINVAL)
    assert parse("0x1f\n", 0) == (0, 31)
    assert parse("017", 0) == (0, 15)
    for nonsense in ("", "\n", "five", "1 ", " 1", "1\n\n", "0x", "--1"):
        assert parse(nonsense, 10)[0] == -EINVAL
