"""When a value or a line of kmock's equals a recorded one."""

from __future__ import annotations

import functools
import re
from typing import Any

ZERO_SIZE_PTR = 16
_U64 = 1 << 64

# Words that stand for a value of the recorded machine, and what they may be on ours.
_NAMED = {
    "NULL": lambda value: value is None or (isinstance(value, int) and int(value) == 0),
    "pointer": lambda value: value is not None and bool(value),
    "non-NULL": lambda value: value is not None and bool(value),
    "ZERO_SIZE_PTR": lambda value: isinstance(value, int) and int(value) == ZERO_SIZE_PTR,
}


def same(recorded: Any, value: Any) -> bool:
    """Whether ``value`` is what was recorded, however each was written down."""
    if isinstance(recorded, str):
        return _same_text(recorded, value)
    if isinstance(recorded, dict):
        mine = {str(key): item for key, item in value.items()} if isinstance(value, dict) else None
        return mine is not None and mine.keys() == recorded.keys() and all(same(recorded[k], mine[k]) for k in mine)
    if isinstance(recorded, list):
        return _same_list(recorded, value)
    if isinstance(value, int):
        # -EINVAL may have been recorded as a long, and come back as an ERR_PTR.
        return int(value) == recorded or (recorded < 0 and int(value) == recorded + _U64)
    return bool(value == recorded)


def _same_list(recorded: list[Any], value: Any) -> bool:
    if not isinstance(value, list | tuple | bytes):
        return False
    return len(value) == len(recorded) and all(map(same, recorded, value))


def _same_text(recorded: str, value: Any) -> bool:
    named = _NAMED.get(recorded)
    if named is not None and not isinstance(value, str):
        return named(value)
    if isinstance(value, bytes):
        return recorded in (value.hex(" "), value.hex(), value.decode("latin-1"))
    if isinstance(value, int) and re.fullmatch(r"0x[0-9a-f]+", recorded):
        return int(value) == int(recorded, 16)
    return str(value) == recorded or bool(pattern(recorded).fullmatch(str(value)))


_SYMBOL = r"[\w.<>]+\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?(?: \[\w+\])?"
_OFFSET = r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?"

# In this order: each rule turns what was recorded of that one machine into what it may be on ours.
_RULES = [
    (r"[\w.]+\+<off>(?:/<off>)? \[\w+\]", _SYMBOL),  # the recording module's own functions: here the driver's
    (r"(?:\.constprop\.0)?\+<off>(?:/<off>)?", r"(?:\.constprop\.0)?" + _OFFSET),
    (r"<module source>:<line>", r"\S+:\d+"),
    (r"\(____ptrval____\)|<addr>|<entry>", r"(?:0x)?[0-9a-f]{8,16}"),
    (r"kworker/<n>", r"kworker/\w+:\w+(?:/\d+)?"),
    (r"<hex>", r"(?:0x)?[0-9a-f]+"),
    (r"/preempt_count \d+", r"/0x[0-9a-f]{8}"),
    (r"<pid>|<pfn>|<n>|<line>", r"(?:0x)?[0-9a-f]+"),
    (r"\b(?:sh|init)(?=[/:\[ ](?!\s*\w+\())", r"[\w./-]+"),  # the task's name
    (r"\((?:Tainted: [^)]*|Not tainted)\)", r"\((?:Tainted: [^)]*|Not tainted)\)"),
    (r"\[#(?:\d+|n)\]", r"\[#\d+\]"),
]
_SPLIT = re.compile("|".join(f"(?P<r{i}>{rule})" for i, (rule, _) in enumerate(_RULES)))


@functools.cache
def pattern(recorded: str) -> re.Pattern[str]:
    """Return a pattern for the lines that say the same as a recorded one."""
    out, at = "", 0
    for found in _SPLIT.finditer(recorded):
        out += re.escape(recorded[at : found.start()])
        out += _RULES[int((found.lastgroup or "r0")[1:])][1]
        at = found.end()
    return re.compile(out + re.escape(recorded[at:]))


def log_lines(dmesg: str) -> list[str]:
    """Return the lines of a log without their time stamps."""
    return [re.sub(r"^\[\s*\d+\.\d+\] ?", "", line).rstrip() for line in dmesg.splitlines()]


def first_missing(wanted: list[str], dmesg: str) -> str | None:
    """Return the first recorded headline that a log does not have, in order; None if it has them all."""
    lines = iter(log_lines(dmesg))
    for headline in wanted:
        match = pattern(headline.rstrip()).fullmatch
        if not any(match(line) for line in lines):
            return headline
    return None
