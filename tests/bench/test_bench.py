"""The pieces of work and what they are held against, each timed by pytest-benchmark; ``ratios.py`` sets them in relation."""

from __future__ import annotations

import pytest

from kmock.current import current
from tests.bench.work import ROWS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.open.__name__)
@pytest.mark.parametrize("side", ["work", "against"])
def test_bench(benchmark, row, side):
    benchmark.group = f"{row.work} / {row.against}"
    with row.open() as (work, against):
        benchmark({"work": work, "against": against}[side])
        kernel = current.kernel
        assert kernel is None or list(kernel.reports) == [], "what is measured is correct use"
