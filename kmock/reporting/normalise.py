"""Makes texts of two runs comparable: what differs between machines and edits gives way to a placeholder."""

from __future__ import annotations

import re
from typing import Final

# In this order: a later rule must not eat what an earlier one needs.
_RULES: Final = tuple(
    (re.compile(pattern), placeholder)
    for pattern, placeholder in (
        # Time: [    0.004000], 0.004000 s after boot
        (r"\[ *\d+\.\d{6}\]", "[<time>]"),
        (r"\b\d+\.\d{6} s\b", "<time> s"),
        # Places in code: f+0x12/0x40
        (r"\+0x[0-9a-f]+/0x[0-9a-f]+", "+<off>/<size>"),
        # Kernel addresses, with or without 0x: ffff888003a41000
        (r"\b(?:0x)?ffff[0-9a-f]{12}\b", "<addr>"),
        (r"\b(?:0x)?[0-9a-f]{16}\b", "<addr>"),
        # Page frame numbers
        (r"\bpfn:(?:0x)?[0-9a-f]+", "pfn:<pfn>"),
        # Tasks: PID: 101, by task 101:, test/101, [101]
        (r"\bPID: \d+", "PID: <pid>"),
        (r"\b(by task|task) (\d+)\b", r"\1 <pid>"),
        (r"\b(task [\w./:-]*[\w:-])/\d+\b", r"\1/<pid>"),
        (r"\bpid: \d+", "pid: <pid>"),
        (r"(\bnote: [\w./:-]+)\[\d+\]", r"\1[<pid>]"),
        # Directories: /home/me/project/scull.py is scull.py
        (r"(?<![\w.<>])(?:[\w.@~+-]*/)+([\w.+-]+\.py)\b", r"\1"),
        # Trailing blanks
        (r"[ \t]+(?=\n|\Z)", ""),
    )
)


def normalise(text: str) -> str:
    """Return ``text`` with addresses, offsets in code, process ids, directories and times replaced by placeholders.

    What follows from the driver alone stays: kinds, sizes, lines of source, CPU numbers, bytes.
    """
    for pattern, placeholder in _RULES:
        text = pattern.sub(placeholder, text)
    return text
