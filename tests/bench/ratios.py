"""``python -m tests.bench.ratios``: the budgets of the design, measured in one run, as a table.

The two sides of a row are measured in turns, so that a machine that is slow for a while is slow for both; the least of
the samples of each counts.
"""

from __future__ import annotations

import gc
from time import perf_counter
from typing import TYPE_CHECKING

from tests.bench.fixtures import FIXTURE_BUDGET, fixture_seconds
from tests.bench.startup import BUDGET_MS, added_ms
from tests.bench.work import ROWS, SCHEDULE, Row

if TYPE_CHECKING:
    from collections.abc import Callable


def sample(work: Callable[[], object], loops: int) -> float:
    """Return the seconds of one call, as the mean of ``loops``."""
    start = perf_counter()
    for _ in range(loops):
        work()
    return (perf_counter() - start) / loops


def measure(row: Row) -> tuple[float, float]:
    """Return the seconds of the work and of what it is held against."""
    with row.open() as (work, against):
        sample(work, 1)
        sample(against, 1)
        gc.collect()
        gc.freeze()
        pairs = [(sample(work, row.loops), sample(against, row.loops)) for _ in range(row.samples)]
        gc.unfreeze()
    return min(a for a, _ in pairs), min(b for _, b in pairs)


def seconds(value: float) -> str:
    return f"{value * 1e6:.1f} us" if value < 1e-3 else f"{value * 1e3:.2f} ms"


def line(work: str, against: str, budget: str, measured: str, *, ok: bool) -> str:
    return f"{work:56} {against:38} {budget:>8} {measured:>9}  {'ok' if ok else 'OVER'}"


def show(work: str, against: str, budget: float, times: tuple[float, float]) -> None:
    mine, other = times
    ratio = mine / other
    work, against = f"{work} ({seconds(mine)})", f"{against} ({seconds(other)})"
    print(line(work, against, f"{budget:g}", f"{ratio:.2f}", ok=ratio <= budget), flush=True)


def main() -> None:
    print(f"{'work':56} {'against':38} {'budget':>8} {'measured':>9}  ok")
    for row in ROWS:
        times = measure(row)
        show(row.work, row.against, row.budget, times)
        if row.work is SCHEDULE:
            print(f"  that is {1 / times[0]:,.0f} schedules per second")
    show("kernel fixture, end-of-life checks and all", "pyfakefs' fs fixture", FIXTURE_BUDGET, fixture_seconds())
    with_it, without = added_ms()
    added = with_it - without
    work, against = f"pytest with the plugin ({with_it:.0f} ms CPU)", f"without it ({without:.0f} ms CPU)"
    print(line(work, against, f"+{BUDGET_MS} ms", f"{added:+.1f} ms", ok=added <= BUDGET_MS))


if __name__ == "__main__":
    main()
