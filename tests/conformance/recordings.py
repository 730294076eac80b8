"""The recordings of a real kernel, as data."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

ORACLE = Path(__file__).parents[2] / "fixtures" / "oracle"

# Headlines by which the kernel tells that an allocation failed: the caller's business, and no mistake of anybody.
LOG_TEXT = (
    "FAULT_INJECTION: ",
    "SLUB: Unable to allocate memory",
    "vmalloc error: ",
    "page allocation failure: ",
    "invoked oom-killer: ",
)
# What the harness that recorded made the kernel say about itself.
HARNESS_LOCKS = ("console_owner", "sb_writers")


@dataclass(frozen=True)
class Recording:
    """One scenario as the kernel played it."""

    id: str
    area: str
    machine: dict[str, Any]
    steps: list[str]
    observed: dict[str, Any]
    reports: list[dict[str, Any]]
    outcome: str
    kernel_misses: bool

    @property
    def headlines(self) -> list[str]:
        """What the kernel said, in order, without the harness's own noise."""
        return [r["headline"] for r in self.reports if not _is_noise(r)]

    @property
    def verdicts(self) -> list[str]:
        """The headlines that blame somebody."""
        return [h for h in self.headlines if not any(text in h for text in LOG_TEXT)]


def _is_noise(report: dict[str, Any]) -> bool:
    if report.get("collateral") or report["headline"] == "INFO: lockdep is turned off.":
        return True
    text = "\n".join((report["headline"], *report.get("lines", ())))
    return "locking dependency" in report["headline"] and any(lock in text for lock in HARNESS_LOCKS)


@functools.cache
def areas() -> tuple[str, ...]:
    """Return the names of the recorded areas, which are those of the files."""
    return tuple(sorted(path.stem for path in ORACLE.glob("*.json")))


@functools.cache
def recorded(area: str) -> dict[str, Recording]:
    """Return the scenarios of one area by id."""
    rows = json.loads((ORACLE / f"{area}.json").read_text(encoding="utf-8"))
    return {row["id"]: _recording(area, row) for row in rows}


def _recording(area: str, row: dict[str, Any]) -> Recording:
    kept = {key: row[key] for key in ("id", "machine", "steps", "observed", "reports", "outcome")}
    return Recording(area=area, kernel_misses=bool(row.get("kernel_misses")), **kept)


@functools.cache
def _all() -> dict[str, Recording]:
    return {id: recording for area in areas() for id, recording in recorded(area).items()}


def recording(id: str) -> Recording:
    """Return the recording of that id; ValueError with the nearest one where there is none."""
    found = _all().get(id)
    if found is None:
        near = get_close_matches(id, _all(), n=1)
        raise ValueError(f"no recording is called {id!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    return found
