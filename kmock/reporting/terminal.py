"""One finding as text: what happened in plain words, where in the driver, to which object, and how to mend it.

The layout is that of the best compilers: verdict and headline, the driver's line with a caret, where the object was
allocated and freed, the object, the machine's state, a hint. At most three places are shown; the kernel's own text and
whole stacks come on request (``--kmock-full``).
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from kmock import kinds
from kmock.reporting.source import CONTEXT, Spot, excerpt, in_function, shown_path, spot
from kmock.stack import user_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kmock.config import KernelConfig
    from kmock.report import Context, ObjectInfo, Report
    from kmock.stack import Stack

PLACES = 3
"""How many places in the source are shown."""
FOLLOWERS = 4
"""How many consequences are listed."""
WIDTH = 100


def render(report: Report, config: KernelConfig | None = None, *, width: int = WIDTH, full: bool = False) -> str:
    """Return ``report`` as text of several lines, without a newline at its end.

    ``config`` is that of the kernel that made it and gives seed and machine; prose is folded and source cut at
    ``width`` columns; ``full`` adds the kernel's own text and every frame.
    """
    blocks = [
        [verdict(report), report.headline],
        *_places(report, width),
        _object(report, full=full),
        [*_fold("context: " + describe_context(report.context) + _machine(config), width), *_advice(report, width)],
    ]
    if full:
        blocks += [_stacks(report), ["the kernel's own text:", *_indented([report.headline, *report.lines])]]
    elif report.lines or report.stacks:
        blocks[-1].append("more:    --kmock-full shows the kernel's own text and whole stacks")
    return "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks if block)


def verdict(report: Report) -> str:
    """Say in plain words what happened: the kind, and what it means."""
    return f"{report.kind}: {kinds.kind(report.kind).trigger}"


def short(report: Report) -> str:
    """Return one line for a list of failures, which is cut at its end: kind, size, place, then the rest.

    ``leak-unreachable: 64 bytes from scull.py:41 in scull_open``
    """
    where = next(iter(_spots(report).values()), None)
    place = where.place if where else report.headline
    if report.severity == "leak" and report.object is not None:
        return f"{report.kind}: {_amount(report, report.object)} from {place}"
    return f"{report.kind}: {place}"


def describe_context(context: Context) -> str:
    """Say where execution stood: task, CPU, what was disabled, what was held, and when."""
    parts = [
        f"task {context.comm}/{context.pid} on CPU {context.cpu}, {context.where} context",
        f"preempt_count {context.preempt_count:#x}" if context.preempt_count else "preempt_count 0",
        "irqs off" if context.irqs_off else "irqs on",
        f"rcu_read_lock depth {context.rcu_depth}" * bool(context.rcu_depth),
        "holding " + (", ".join(context.locks) or "no locks"),
        f"{context.time / 1e9:.6f} s after boot",
    ]
    return ", ".join(part for part in parts if part)


def _machine(config: KernelConfig | None) -> str:
    return f", seed {config.seed}, machine {config.origin or 'default'}" if config is not None else ""


# --- the places ----------------------------------------------------------------------------------------------------------


def _spots(report: Report) -> dict[str, Spot]:
    """The driver's places by role, the access first; a role without a frame of the driver's has none."""
    roles = sorted(report.stacks, key=lambda role: role != "access")
    return {role: found for role in roles if (found := spot(report.stacks[role])) is not None}


def _places(report: Report, width: int) -> list[list[str]]:
    shown = list(_spots(report).items())[:PLACES]
    meant = [where for _, where in shown]
    blocks: list[list[str]] = []
    for role, where in shown:
        title = where.path if role == "access" else f"{role} here: {where.path}"
        if meant.count(where) > 1:  # two calls of one helper: who called is what tells them apart
            title += _caller(report.stacks[role])
        rows = excerpt(where, context=0 if blocks else CONTEXT, width=max(width - 2, 20))
        blocks.append([title, *_indented(rows)])
    return blocks


def _caller(stack: Stack) -> str:
    above = user_frames(stack)[1:2]
    return (
        f", called from {shown_path(above[0].file)}:{above[0].line}" + in_function(above[0].function) if above else ""
    )


# --- the object ----------------------------------------------------------------------------------------------------------


def _object(report: Report, *, full: bool) -> list[str]:
    about = report.object
    if about is None:
        return []
    rows = [_object_line(report, about), *_indented(about.dump)]
    return rows if full else [*rows, *_shadow(report.lines)]


def _object_line(report: Report, about: ObjectInfo) -> str:
    line = f"object:  {about.size} bytes at {about.address:016x}, {about.what}"
    if report.severity == "leak":
        return line + f"; {_amount(report, about)} in all" * (_count(report) > 1)
    return line if about.offset is None else f"{line}, offset {about.offset}"


def _amount(report: Report, about: ObjectInfo) -> str:
    """How much a leak comes to: one finding stands for all that one place allocated."""
    count = _count(report)
    return f"{report.attributes['total']} bytes in {count} allocations" if count > 1 else f"{about.size} bytes"


def _count(report: Report) -> int:
    return int(report.attributes.get("count", 1))


def _shadow(lines: Sequence[str]) -> list[str]:
    """The kernel's picture of the shadow: the row of the access, its caret, and one row on either side."""
    first = next((n for n, line in enumerate(lines) if line.startswith("Memory state")), -1) + 1
    marked = next((n for n, line in enumerate(lines) if line.startswith(">")), None)
    if marked is None:
        return []
    return ["shadow:", *_indented(lines[max(marked - 1, first) : marked + 3])]


# --- the rest ------------------------------------------------------------------------------------------------------------


def _advice(report: Report, width: int) -> Iterator[str]:
    if report.hint:
        yield from _fold(f"hint:    {report.hint}", width)
    if report.followed_by:
        yield f"then:    {len(report.followed_by)} more of the same cause:"
        yield from _indented(report.followed_by[:FOLLOWERS])
        if len(report.followed_by) > FOLLOWERS:
            yield f"  and {len(report.followed_by) - FOLLOWERS} more"


def _stacks(report: Report) -> list[str]:
    rows = []
    for role, stack in report.stacks.items():
        found = user_frames(stack)
        if found:
            rows += [f"{role}:", *(f"  {shown_path(f.file)}:{f.line} in {f.function}" for f in found)]
    return rows


def _fold(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, max(width, 40), subsequent_indent=" " * 9, break_long_words=False, break_on_hyphens=False
    )


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
