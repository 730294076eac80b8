"""What all tests came to: the lines at the end of the run, and the JSON file.

Made in the process that the user talks to; what workers found reaches it on their test reports.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from kmock.plugin.options import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from kmock.reporting.json import Document


class Summary:
    """Adds up what test reports say of kmock's findings."""

    def __init__(self, config: pytest.Config, reports: Iterable[Any]) -> None:
        self._config = config
        self._tests: dict[str, dict[str, list[Any]]] = {}
        self._used: set[int] = set()
        for report in reports:
            self._add(report.nodeid, report.kmock)

    def _add(self, test: str, data: dict[str, Any]) -> None:
        """Take in what one phase of one test came to."""
        lists = self._tests.setdefault(test, {"findings": [], "lints": [], "suppressed": []})
        for name, found in lists.items():
            found += data[name]
        self._used.update(data["suppressions"])

    def show(self, terminal: pytest.TerminalReporter) -> None:
        """Show what fixtures left behind, and count; write the JSON file."""
        leaks = terminal.stats.get("leaked", [])
        self._show_leaks(terminal, leaks)
        lines = [f"LEAKED {report.nodeid} - {report.longrepr.reprcrash.message}" for report in leaks]
        lines += [*self._lint_lines(), *self._count_lines(), *self._stale_lines()]
        if lines:
            terminal.section("kmock")
            for line in lines:
                terminal.line(line)
        path = value(self._config, "json")
        if path:
            self._write(self._config.invocation_params.dir / path, terminal)

    def _write(self, path: Path, terminal: pytest.TerminalReporter) -> None:
        import json  # noqa: PLC0415 -- few runs ask for it

        text = json.dumps(self._document(), indent=2) + "\n"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            terminal.line(f"kmock: can't write the findings to {path}: {error.strerror}", red=True)

    def _document(self) -> Document:
        from kmock import __version__  # noqa: PLC0415 -- few runs ask for it
        from kmock.reporting.json import SCHEMA  # noqa: PLC0415 -- the same

        tests: Any = [{"test": test, **lists} for test, lists in self._tests.items()]
        return {"schema": SCHEMA, "kmock": __version__, "kinds": dict(self._kinds()), "tests": tests}

    def _show_leaks(self, terminal: pytest.TerminalReporter, leaks: Sequence[Any]) -> None:
        """Print what pytest does not: it has no section for outcomes that it doesn't know."""
        if leaks and self._config.option.tbstyle not in ("no", "line"):
            terminal.section("LEAKS", red=True, bold=True)
            for report in leaks:
                terminal.write_sep("_", f"LEFT BY FIXTURES of {report.head_line}", red=True, bold=True)
                report.toterminal(terminal._tw)

    # -- the lines --------------------------------------------------------------------------------

    def _kinds(self) -> Counter[str]:
        return Counter(one["kind"] for lists in self._tests.values() for one in lists["findings"])

    def _count_lines(self) -> Iterator[str]:
        kinds = self._kinds()
        parts = []
        if kinds:
            tests = sum(bool(lists["findings"]) for lists in self._tests.values())
            by_kind = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common())
            parts.append(f"{_many(kinds.total(), 'finding')} in {_many(tests, 'test')}: {by_kind}")
        suppressed = sum(len(lists["suppressed"]) for lists in self._tests.values())
        lints = sum(len(lists["lints"]) for lists in self._tests.values())
        parts += [f"{suppressed} suppressed"] * bool(suppressed) + [_many(lints, "lint")] * bool(lints)
        if parts:
            yield "kmock: " + "; ".join(parts)

    def _lint_lines(self) -> Iterator[str]:
        for test, lists in self._tests.items():
            for one in lists["lints"]:
                yield f"lint: {one['summary']} ({test})"

    def _stale_lines(self) -> Iterator[str]:
        for ordinal, line in enumerate(value(self._config, "suppress") if self._is_whole_run() else ()):
            if ordinal not in self._used:
                yield f"kmock: this line of kmock_suppress matched nothing and can go: {line}"

    def _is_whole_run(self) -> bool:
        option = self._config.option
        chosen = option.keyword or option.markexpr or getattr(option, "lf", False)
        return not chosen and self._config.args_source is not pytest.Config.ArgsSource.ARGS


def _many(n: int, what: str) -> str:
    return f"{n} {what}" + "s" * (n != 1)
