"""The kinds of finding: stable ids, families, severities and how to mend each.

The rows live in ``kinds.tsv`` beside this file and are read when the first finding is made. A kind may
have a broader one (``alloc-gfp-kernel-under-spinlock`` is a ``sleep-in-atomic``): whoever expects the
broader kind accepts the narrower one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding. ``severity`` is ``oops``, ``warn``, ``leak`` or ``lint``."""

    id: str
    family: str
    severity: str
    broader: str
    trigger: str
    hint: str

    def matches(self, pattern: str) -> bool:
        """Whether ``pattern`` (an id, or a glob such as ``slab-*``) names this kind or a broader one."""
        if fnmatchcase(self.id, pattern):
            return True
        return bool(self.broader) and kind(self.broader).matches(pattern)


@functools.cache
def catalogue() -> dict[str, Kind]:
    """Return every kind by its id, in the catalogue's order."""
    rows = Path(__file__).with_name("kinds.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {row.split("\t", 1)[0]: Kind(*row.split("\t")) for row in rows}


def kind(id: str) -> Kind:
    """Return the kind of that id; KeyError if the catalogue has none."""
    return catalogue()[id]
