"""Tracebacks without kmock's own frames, and the question whose fault an exception is."""

from __future__ import annotations

import contextlib
import linecache
import os
import sysconfig
from types import TracebackType
from typing import TYPE_CHECKING

from kmock.stack import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATHS = sysconfig.get_paths()
_LIBRARY = os.path.join(_PATHS["stdlib"], "")
_RUNNER = (f"{os.sep}_pytest{os.sep}", f"{os.sep}pluggy{os.sep}")
_INSTALLED = tuple(os.path.join(_PATHS[name], "") for name in ("purelib", "platlib"))


def without_kmock(error: BaseException) -> BaseException:
    """Take kmock's frames out of the tracebacks of ``error`` and of what caused it; return it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        current.__traceback__ = _pruned(current.__traceback__)
        current = current.__cause__ or current.__context__
    return error


def _pruned(traceback: TracebackType | None) -> TracebackType | None:
    entries = list(_entries(traceback))
    if not any(entry.tb_frame.f_code.co_filename.startswith(HERE) for entry in entries):
        return traceback
    kept: TracebackType | None = None
    hidden = False
    for entry in reversed(entries):
        file = entry.tb_frame.f_code.co_filename
        # `with kernel.expect(...)` leads through contextlib, which says no more than kmock's own frame.
        hidden = file.startswith(HERE) or (hidden and file == contextlib.__file__)
        if not hidden:
            kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept or traceback


def without_runner(error: BaseException) -> BaseException:
    """Take what lies above the test, or above kmock's own hook, off the traceback of ``error``; return it."""
    entries = list(_entries(error.__traceback__))
    runner = [n for n, e in enumerate(entries) if any(part in e.tb_frame.f_code.co_filename for part in _RUNNER)]
    if runner and runner[-1] + 1 < len(entries):
        error.__traceback__ = entries[runner[-1] + 1]
    return error


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def own_fault(error: BaseException) -> TracebackType | None:
    """Return the place where kmock itself went wrong; None where ``error`` is a driver's, or what kmock meant to say.

    What kmock has to tell a user it raises by a ``raise`` of its own; anything else that escapes from it is a fault.
    """
    entry = next((e for e in reversed(list(_entries(error.__traceback__))) if not _is_library(e)), None)
    if entry is None or not entry.tb_frame.f_code.co_filename.startswith(HERE):
        return None
    source = linecache.getline(entry.tb_frame.f_code.co_filename, entry.tb_lineno).strip()
    return None if source.startswith("raise ") or _is_wrong_call(error, entry) else entry


def _is_library(entry: TracebackType) -> bool:
    file = entry.tb_frame.f_code.co_filename
    return file.startswith(("<frozen ", _LIBRARY)) and not file.startswith(_INSTALLED)


def _is_wrong_call(error: BaseException, entry: TracebackType) -> bool:
    """Whether a kernel function was called with arguments that it doesn't take."""
    return isinstance(error, TypeError) and entry.tb_frame.f_code.co_filename == os.path.join(HERE, "linux", "_api.py")
