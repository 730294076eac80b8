"""What a user can say to the plugin, each word defined once: command line, ini file, help and docs are drawn from it.

The command line wins over the ini file; a test's own marker wins over both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


class Option(NamedTuple):
    """One option: ``--kmock-<name>`` on the command line, ``kmock_<name>`` in the ini file."""

    name: str
    kind: str
    """``text``, ``flag``, ``number`` or ``lines``; ``lines`` are for the ini file alone."""
    help: str
    metavar: str = ""

    @property
    def flag(self) -> str:
        """As written on the command line."""
        return f"--kmock-{self.name}"

    @property
    def ini(self) -> str:
        """As written in the ini file."""
        return f"kmock_{self.name}"


OPTIONS = (
    Option("machine", "text", "boot this preset or YAML file where a test doesn't say otherwise", "NAME|FILE"),
    Option("seed", "number", "seed of everything random in the simulated machine (default: 0)", "N"),
    Option("lint", "flag", "also report what is legal but doubtful; lints never fail a test"),
    Option("raise", "flag", "raise at the spot of a finding instead of running on"),
    Option("schedule", "text", "replay this schedule in tests marked `interleave`, once", "SCHEDULE"),
    Option("full", "flag", "show the kernel's own text and whole stacks with every finding"),
    Option("json", "text", "write all findings to this file as JSON", "FILE"),
    Option("suppress", "lines", "findings to accept, one a line, as 'kind: path glob: reason'"),
)


MARKERS = (
    (
        "kernel(cpus=..., memory=..., machine=..., ...)",
        "what machine the fixture `kernel` boots for this test; takes every field of kmock.KernelConfig",
    ),
    (
        "expect_report(kind, count=None)",
        "this test is to make a report of that kind or family, such as 'slab-*', `count` times if given",
    ),
    (
        "interleave(strategy='pct', runs=200, preemptions=2, seed=0)",
        "run this test again and again, each time another choice of what runs when: pct, random, exhaustive (all runs)",
    ),
)


def register_markers(config: pytest.Config) -> None:
    """Make pytest know the markers, for ``--markers`` and ``--strict-markers``."""
    for signature, help in MARKERS:
        config.addinivalue_line("markers", f"{signature}: {help}")


def add_options(parser: pytest.Parser) -> None:
    """Make pytest know every option of the table."""
    group = parser.getgroup("kmock", "simulated Linux machine (kmock)")
    for option in OPTIONS:
        if option.kind == "flag":
            group.addoption(option.flag, dest=option.ini, action="store_true", default=None, help=option.help)
        elif option.kind != "lines":
            group.addoption(option.flag, dest=option.ini, metavar=option.metavar, default=None, help=option.help)
        type, default = _INI[option.kind]
        parser.addini(option.ini, option.help, type=type, default=default)


# pytest learnt "int" in 8.4 only.
_INI: dict[str, tuple[Any, Any]] = {
    "text": ("string", None),
    "number": ("string", None),
    "flag": ("bool", False),
    "lines": ("linelist", []),
}


def value(config: pytest.Config, name: str) -> Any:
    """Return what was chosen for the option ``name``: text, bool, int or list by its kind; None where nothing was said.

    Raises UsageError for a number that is none.
    """
    option = next(option for option in OPTIONS if option.name == name)
    said = config.getoption(option.ini, None)
    place = option.flag
    if said is None:
        said, place = config.getini(option.ini), f"ini option {option.ini}"
    return _READ.get(option.kind, _as_is)(said, place)


def _as_is(said: Any, place: str) -> Any:
    return said


def _text(said: str | None, place: str) -> str | None:
    return said or None


def _number(said: str | None, place: str) -> int | None:
    if not said:
        return None
    try:
        return int(said, 0)
    except ValueError:
        raise pytest.UsageError(f"{place}: {said!r} is not a number such as 0 or 42") from None


_READ: dict[str, Callable[[Any, str], Any]] = {"text": _text, "number": _number}
