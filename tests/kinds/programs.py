"""The programs that show each kind of finding: ``fire/<kind>.py`` makes it, ``silent/<kind>.py`` is the correct twin.

A program is ``def program(k)``, the correct twin may also be called ``good``; a module-level ``BOOT`` has options for the machine, ``SCHEDULE`` the interleaving to run in. In a program that fires, the line
that the report has to point at ends in ``# here``.
"""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kmock
from kmock import kinds
from kmock.errors import ReportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from kmock import Kernel
    from kmock.report import Report

HERE = Path(__file__).parent
MARK = "# here"


def names(folder: str) -> list[str]:
    """Return the kinds that have a program in ``fire`` or ``silent``, sorted."""
    return sorted(path.stem for path in (HERE / folder).glob("*.py") if path.stem != "__init__")


def path(folder: str, kind: str) -> Path:
    return HERE / folder / f"{kind}.py"


def marked_line(file: Path) -> int:
    """Return the number of the line that ends in ``# here``."""
    marked = [n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if line.endswith(MARK)]
    assert len(marked) == 1, f"{file.name}: {len(marked)} lines end in {MARK!r}, one is to"
    return marked[0]


def play(file: Path, kind: str) -> tuple[list[Report], kmock.KernelConfig]:
    """Run a program from boot to shutdown; return what was reported, and on which machine."""
    module = _load(file)
    options: dict[str, Any] = {"lint": kinds.kind(kind).severity == "lint"} | getattr(module, "BOOT", {})
    with _boot(getattr(module, "SCHEDULE", None), options) as k:
        with suppress(ReportedError):  # it has been reported; the kernel would have ended the task
            _main(module)(k)
        k.shutdown()
        return list(k.reports), k.config


def _boot(schedule: str | None, options: dict[str, Any]) -> Kernel:
    if schedule is None:
        return kmock.boot(**options)
    # Imported here, not above: golden texts know in which line play() calls the program.
    from kmock.explore.machine import ExploredKernel
    from kmock.explore.schedule import decode
    from kmock.explore.strategy import Replay

    return ExploredKernel(kmock.KernelConfig.make(None, **options), Replay(decode(schedule)))


def _main(module: ModuleType) -> Callable[[Kernel], object]:
    return next(vars(module)[name] for name in ("program", "good") if name in vars(module))


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"kinds_{file.parent.name}_{file.stem.replace('-', '_')}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
