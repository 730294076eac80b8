"""What differs from run to run and from machine to machine goes; what the driver decides stays."""

from __future__ import annotations

import pytest

from kmock.reporting.normalise import normalise
from kmock.reporting.terminal import render
from tests.reporting.findings import use_after_free


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("[    0.004000] hello", "[<time>] hello"),
        ("holding no locks, 0.004000 s after boot", "holding no locks, <time> s after boot"),
        ("BUG: KASAN: use-after-free in f+0x12/0x40", "BUG: KASAN: use-after-free in f+<off>/<size>"),
        ("at addr ffff888003a41008 by task test/101", "at addr <addr> by task test/<pid>"),
        (">ffff888003a41000: fa fb", "><addr>: fa fb"),
        ("0xffff888003a41000", "<addr>"),
        ("Wild access at dead000000000100", "Wild access at <addr>"),
        ("page:<p> pfn:0x3a41", "page:<p> pfn:<pfn>"),
        ("Allocated by task 101:", "Allocated by task <pid>:"),
        ("task kworker/0:1/57 on CPU 1", "task kworker/0:1/<pid> on CPU 1"),
        ("WARNING: CPU: 1 PID: 101 at mm/slub.c:12", "WARNING: CPU: 1 PID: <pid> at mm/slub.c:12"),
        ("note: test[101] exited with irqs disabled", "note: test[<pid>] exited with irqs disabled"),
        ("/home/me/my-drivers/scull.py:41 in f", "scull.py:41 in f"),
        ("drivers/scull.py:41", "scull.py:41"),
        ("blank at the end   \nnext", "blank at the end\nnext"),
    ],
)
def test_replaced(text, same):
    assert normalise(text) == same


@pytest.mark.parametrize(
    "text",
    [
        "64 bytes in 2 allocations",
        "offset -8",
        "kmalloc-64",
        "preempt_count 0x1",
        "mm/slub.c:4567",
        "6b 6b 6b",
        "CPU 1",
    ],
)
def test_kept(text):
    assert normalise(text) == text


def test_nothing_of_this_machine_is_left_in_a_rendered_finding():
    text = normalise(render(use_after_free()))
    assert "ffff8" not in text
    assert "/101" not in text
    assert normalise(text) == text
