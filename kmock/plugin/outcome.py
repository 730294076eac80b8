"""From what was found to what pytest shows: the test report's text, its data, and the blame for kmock's own faults."""

from __future__ import annotations

import shutil
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ReprEntry, ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

from kmock.errors import Misuse, ReportedError
from kmock.plugin.failure import KmockFailure
from kmock.plugin.fixtures import WATCH
from kmock.plugin.frames import own_fault, without_kmock, without_runner
from kmock.plugin.markers import place_of
from kmock.plugin.options import value
from kmock.reporting.json import finding
from kmock.reporting.terminal import render, short

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kmock.config import KernelConfig
    from kmock.plugin.watch import Verdict, Watch
    from kmock.report import Report


def hide_frames(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Take kmock's frames out of the traceback of a failed phase, unless they are to blame or asked for."""
    if item.config.getoption("fulltrace", False):
        return
    if call.excinfo is not None:
        call.excinfo = _hidden(call.excinfo)
    kept = getattr(item, "_excinfo", None)  # unittest's
    if kept:
        kept[:] = map(_hidden, kept)


def _hidden(excinfo: pytest.ExceptionInfo[BaseException]) -> pytest.ExceptionInfo[BaseException]:
    error = excinfo.value
    before = error.__traceback__
    if own_fault(error) is not None or without_kmock(error).__traceback__ is before:
        return excinfo
    return pytest.ExceptionInfo.from_exception(error)


def complete(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Add to ``report`` what was found in its phase. Never raises: what goes wrong here is told in the report."""
    try:
        _complete(report, item, call)
    except Exception:  # noqa: BLE001 -- an error in here would end the whole run
        report.outcome = "failed"
        report.longrepr = f"{_BLAME}\n\n{traceback.format_exc()}"


def _complete(report: pytest.TestReport, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    error = call.excinfo.value if call.excinfo is not None else None
    watch = item.stash.get(WATCH, None)
    if watch is not None and report.when == "setup" and error is not None:
        watch.fail_setup()
    verdict = watch.verdicts.get(report.when or "") if watch is not None else None
    if watch is not None and verdict is not None:
        _attach_data(report, watch, verdict)
    if error is not None and report.failed:
        page = Page(item, watch)
        if (fault := own_fault(error)) is not None:
            report.longrepr = page.internal_error(error, fault)
        elif (told := _told_by(error)) is not None:
            report.longrepr = page.failure(told, verdict)
            return
        if verdict:
            _add_section(report, page.text(verdict.findings))


def _add_section(report: pytest.TestReport, text: str) -> None:
    add: Callable[[str, str], None] | None = getattr(report.longrepr, "addsection", None)
    if add is not None:  # as part of the failure, it is shown whatever --show-capture says
        add("kmock reports", text)
    else:
        report.sections.append(("kmock reports", text))


def _attach_data(report: pytest.TestReport, watch: Watch, verdict: Verdict) -> None:
    """Give the report what the summary needs, as plain data that travels between processes."""
    config = watch.kernel.config
    suppressed, watch.suppressed = watch.suppressed, []
    data: dict[str, Any] = {
        "findings": [finding(one, config) for one in verdict.findings],
        "lints": [finding(one, config) for one in verdict.lints],
        "suppressed": [finding(one, config) for _, one in suppressed],
        "suppressions": [ordinal for ordinal, _ in suppressed],
        "leaked": verdict.leaked,
    }
    if any(data.values()):
        vars(report)["kmock"] = data


def _told_by(error: BaseException) -> list[KmockFailure | ReportedError] | None:
    """Return the exceptions of kmock's that ``error`` consists of; None if it is anything else."""
    if isinstance(error, KmockFailure | ReportedError):
        return [error]
    if isinstance(error, BaseExceptionGroup):
        parts = [_told_by(part) for part in error.exceptions]
        return [one for part in parts if part is not None for one in part] if None not in parts else None
    return None


_BLAME = "kmock internal error: this is a mistake in kmock, not in your driver. Please report it with what follows."


class Page:
    """Writes the text of one failure."""

    def __init__(self, item: pytest.Item, watch: Watch | None) -> None:
        self._item = item
        self._config: KernelConfig | None = watch.kernel.config if watch is not None else None
        self._full = bool(value(item.config, "full"))
        self._width = shutil.get_terminal_size().columns

    def text(self, findings: Sequence[Report]) -> str:
        """The findings, one below the other."""
        return "\n\n".join(self._render(report) for report in findings)

    def failure(self, told: Sequence[KmockFailure | ReportedError], verdict: Verdict | None) -> ReprExceptionInfo:
        """A phase that failed by what kmock found."""
        findings = list(verdict.findings) if verdict is not None else []
        problems = [problem for one in told if isinstance(one, KmockFailure) for problem in one.problems]
        for one in told:
            known = one.findings if isinstance(one, KmockFailure) else [one.report]
            findings += [report for report in known if not any(report is f for f in findings)]
        notes = [note for one in told if (note := _note(one, verdict))]
        return self._page(self._summary(problems, findings), findings, problems, notes)

    def internal_error(self, error: BaseException, fault: Any) -> ReprExceptionInfo:
        """A fault of kmock's own."""
        code = fault.tb_frame.f_code
        message = f"kmock internal error: {type(error).__name__}: {error}"
        hint = "The arguments of the call may be of a wrong type.\n" if isinstance(error, TypeError) else ""
        trace = "".join(traceback.format_exception(without_runner(error)))
        body = [f"{_BLAME}\n{hint}\n{trace}"]
        return _exception_info(code.co_filename, fault.tb_lineno, message, [_red([message]), ReprEntryNative(body)])

    def _page(
        self, message: str, findings: Sequence[Report], problems: Sequence[str], notes: Sequence[str]
    ) -> ReprExceptionInfo:
        entries: list[ReprEntry | ReprEntryNative] = [_red([problem]) for problem in problems]
        for n, report in enumerate(findings):
            if entries:
                entries.append(ReprEntryNative(["\n"]))
            head, _, body = self._render(report).partition("\n\n")
            count = [f"({n + 1} of {len(findings)})"] if len(findings) > 1 else []
            entries += [_red([*head.split("\n"), *count]), ReprEntryNative([f"\n{body}\n"])]
        entries += [ReprEntryNative([f"\n{note}\n"]) for note in notes]
        where = findings[0].where if findings else None
        file, line = (where.file, where.line) if where is not None else self._place()
        return _exception_info(file, line, message, entries)

    def _render(self, report: Report) -> str:
        return render(report, self._config, width=self._width, full=self._full)

    def _summary(self, problems: Sequence[str], findings: Sequence[Report]) -> str:
        lines = [*problems, *map(short, findings)]
        return lines[0] + (f" (+{len(lines) - 1} more)" if len(lines) > 1 else "")

    def _place(self) -> tuple[str, int]:
        file, _, line = place_of(self._item).rpartition(":")
        return file, int(line)


def _note(error: KmockFailure | ReportedError, verdict: Verdict | None) -> str:
    """What the reader of a finding that was raised must know beyond the finding."""
    if isinstance(error, KmockFailure):
        return ""
    if isinstance(error, Misuse):
        return "Raised at the spot, as --kmock-raise asks for; the kernel would have run on."
    name = type(error).__name__
    if verdict is not None and not any(report is error.report for report in verdict.findings):
        return f"This was expected, but it also ends the task: catch it with pytest.raises(kmock.{name})."
    return f"{name}: the test ends here{_WHY.get(name, '')}."


_WHY = {
    "KernelOops": ", as the kernel would have ended its task",
    "KernelPanic": ", as the machine would have stopped",
    "Deadlock": ", since nothing is left that could wake its task",
}


def _red(lines: Sequence[str]) -> ReprEntry:
    return ReprEntry([f"E   {line}" for line in lines], None, None, None, "short")


def _exception_info(
    file: str, line: int, message: str, entries: Sequence[ReprEntry | ReprEntryNative]
) -> ReprExceptionInfo:
    # Of these parts pytest's own failures consist: they travel between processes and go into every kind of file.
    return ReprExceptionInfo(
        reprtraceback=ReprTraceback(list(entries), None, "short"), reprcrash=ReprFileLocation(file, line, message)
    )
