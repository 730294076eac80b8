"""A finding as text: every part of the shape, in its order, at any width."""

from __future__ import annotations

import inspect
from dataclasses import replace

import kmock
from kmock.reporting.terminal import describe_context, render, short, verdict
from tests.reporting.findings import CONTEXT, leak, use_after_free


def line_of(function, mark):
    lines, first = inspect.getsourcelines(function)
    return next(n for n, line in enumerate(lines, first) if line.endswith(f"{mark}\n"))


def test_verdict_in_plain_words_then_the_kernels_headline():
    lines = render(use_after_free()).splitlines()
    assert lines[0] == "slab-use-after-free-read: read of a freed object"
    assert lines[1] == "BUG: KASAN: use-after-free in read+0x10/0x20"


def test_the_drivers_line_has_a_caret_and_what_stands_above():
    from tests.reporting.findings import read

    n = line_of(read, "# access")
    text = render(use_after_free())
    assert f"findings.py:{n} in read\n" in text
    assert (
        f"    {n - 2} | def read(twice=lambda first, second: second):\n"
        f"    {n - 1} |     # The line above this one is shown too.\n"
        f"  > {n} |     return twice(1, take())  # access\n"
        f"  {' ' * len(str(n))}   |                     ^^^^^^\n"
    ) in text


def test_allocated_and_freed_have_their_own_lines():
    text = render(use_after_free())
    assert "allocated here: tests/reporting/findings.py:" in text
    assert "| return take()  # allocated\n" in text
    assert "freed here: tests/reporting/findings.py:" in text
    assert text.index("in read") < text.index("allocated here") < text.index("freed here") < text.index("object:")


def test_three_places_at_most():
    report = use_after_free()
    report.stacks |= {"owner allocated": report.stacks["allocated"], "taken": report.stacks["freed"]}
    text = render(report)
    assert text.count(" here: ") == 2
    assert "freed here" in text
    assert "taken here" not in text


def test_object_with_its_bytes_and_the_shadow_around_it():
    text = render(use_after_free())
    assert "object:  64 bytes at ffff888003a41000, object of cache kmalloc-64, offset 8\n" in text
    assert "  ffff888003a41000: 6b 6b  kk\n" in text
    assert "shadow:\n   ffff888003a40f80: fc fc\n  >ffff888003a41000: fa fb\n                        ^\n" in text
    assert "ffff888003a41100" not in text


def test_context_names_everything_that_decides_what_is_legal():
    context = replace(CONTEXT, irqs_off=True, preempt_count=1, rcu_depth=2, locks=("a", "b"), where="softirq")
    assert describe_context(context) == (
        "task test/101 on CPU 1, softirq context, preempt_count 0x1, irqs off, rcu_read_lock depth 2, "
        "holding a, b, 0.004000 s after boot"
    )


def test_seed_and_machine_come_from_the_kernels_configuration():
    config = kmock.KernelConfig.make("numa2", seed=7)
    assert "seed 7, machine numa2" in render(use_after_free(), config)
    assert "seed" not in render(use_after_free())


def test_hint_and_how_to_see_more():
    lines = render(use_after_free()).splitlines()
    assert "hint:    keep the object until its last user is gone" in lines
    assert lines[-1].startswith("more:    --kmock-full ")


def test_consequences_are_counted_and_cut():
    report = use_after_free(followed_by=[f"trouble {n}" for n in range(7)])
    text = render(report)
    assert "then:    7 more of the same cause:\n  trouble 0\n" in text
    assert "  trouble 3\n  and 3 more\n" in text
    assert "trouble 4" not in text


def test_full_has_every_frame_and_the_kernels_own_text():
    text = render(use_after_free(), full=True)
    assert "the kernel's own text:\n  BUG: KASAN: use-after-free in read" in text
    assert "  Read of size 4 at addr ffff888003a41008 by task test/101\n" in text
    assert "ffff888003a41100: ff ff" in text
    assert "in test_full_has_every_frame_and_the_kernels_own_text" in text
    assert "--kmock-full" not in text


def test_prose_is_folded_and_source_is_cut_at_the_width():
    long = use_after_free(hint="word " * 40)
    widths = [len(line) for line in render(long, width=60).splitlines() if "|" in line or "word" in line]
    assert max(widths) <= 60


def test_a_finding_of_no_driver_still_has_its_headline():
    report = use_after_free(stacks={"access": ()}, object=None, lines=())
    assert render(report).splitlines()[:2] == [
        "slab-use-after-free-read: read of a freed object",
        "BUG: KASAN: use-after-free in read+0x10/0x20",
    ]
    assert short(report) == "slab-use-after-free-read: BUG: KASAN: use-after-free in read+0x10/0x20"


def test_one_line_begins_with_size_and_place():
    from tests.reporting.findings import allocate

    n = line_of(allocate, "# allocated")
    assert short(leak()) == f"leak-unreachable: 64 bytes from findings.py:{n} in allocate"


def test_several_leaks_of_one_place_are_added_up():
    report = leak(attributes={"count": 3, "total": 192})
    assert short(report).startswith("leak-unreachable: 192 bytes in 3 allocations from findings.py:")
    assert "object of cache kmalloc-64; 192 bytes in 3 allocations in all\n" in render(report)


def test_one_line_of_an_access_names_the_access():
    assert short(use_after_free()).startswith("slab-use-after-free-read: findings.py:")
    assert short(use_after_free()).endswith(" in read")


def test_verdict_is_the_kind_and_its_meaning():
    assert verdict(leak()) == "leak-unreachable: last pointer lost"
