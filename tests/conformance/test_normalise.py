"""When kmock's values and lines count as the recorded ones."""

from __future__ import annotations

import pytest

from kmock.lang.ptr import NULL, Ptr
from tests.conformance.normalise import first_missing, pattern, same
from tests.conformance.recordings import recording


@pytest.mark.parametrize(
    ("recorded", "value"),
    [
        ("NULL", NULL),
        ("NULL", None),
        ("pointer", Ptr(0xFFFF888000001000)),
        ("non-NULL", object()),
        ("ZERO_SIZE_PTR", Ptr(16)),
        ("0xc0000000", 0xC0000000),
        (-22, Ptr(2**64 - 22)),
        (True, 1),
        (1, True),
        ([1, 0], [True, False]),
        ({"1": 8}, {1: 8}),
        ("6b 6b a5", b"\x6b\x6b\xa5"),
        ("A", b"A"),
        ("BUG: scheduling while atomic: sh/<pid>/0x00000002", "BUG: scheduling while atomic: test/101/0x00000002"),
    ],
)
def test_same(recorded, value):
    assert same(recorded, value)


@pytest.mark.parametrize(
    ("recorded", "value"),
    [("NULL", Ptr(16)), ("pointer", NULL), (1, 2), (-22, 22), ([1], [1, 1]), ({"1": 8}, {1: 8, 2: 8}), ("0x10", 17)],
)
def test_not_same(recorded, value):
    assert not same(recorded, value)


@pytest.mark.parametrize(
    ("recorded", "line"),
    [
        (
            "BUG: KASAN: slab-out-of-bounds in slab_oob_exact+<off>/<off> [oracle]",
            "BUG: KASAN: slab-out-of-bounds in zero_size+0x12/0x34",
        ),
        ("BUG: KASAN: double-free in kfree+<off>/<off>", "BUG: KASAN: double-free in kfree+0x0/0x0"),
        (
            "WARNING: CPU: <n> PID: <pid> at include/linux/gfp.h:18 prepare_alloc_pages.constprop.0+<off>/<off>",
            "WARNING: CPU: 0 PID: 101 at include/linux/gfp.h:18 prepare_alloc_pages+0x0/0x0",
        ),
        ("BUG: Bad page state in process sh  pfn:<pfn>", "BUG: Bad page state in process test  pfn:00a12"),
        (
            "BUG ora_bdf (Tainted: G           O      ): Objects remaining in ora_bdf on __kmem_cache_shutdown()",
            "BUG ora_bdf (Tainted: G    B      O      ): Objects remaining in ora_bdf on __kmem_cache_shutdown()",
        ),
        ("kernel BUG at <module source>:<line>!", "kernel BUG at /home/me/driver.py:12!"),
        (
            "general protection fault, probably for non-canonical address <addr>: 0000 [#1] PREEMPT SMP KASAN",
            "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#3] PREEMPT SMP KASAN",
        ),
        ("unreferenced object <addr> (size 64):", "unreferenced object 0xffff888003a41000 (size 64):"),
    ],
)
def test_a_line_says_the_same(recorded, line):
    assert pattern(recorded).fullmatch(line)


@pytest.mark.parametrize(
    ("recorded", "line"),
    [
        ("BUG: KASAN: double-free in kfree+<off>/<off>", "BUG: KASAN: double-free in kvfree+0x0/0x0"),
        ("unreferenced object <addr> (size 64):", "unreferenced object 0xffff888003a41000 (size 65):"),
        ("kernel BUG at mm/usercopy.c:101!", "kernel BUG at mm/usercopy.c:102!"),
    ],
)
def test_a_line_says_something_else(recorded, line):
    assert not pattern(recorded).fullmatch(line)


def test_headlines_are_looked_for_in_order():
    log = "[    0.000000] one\n[    0.000000] two\n[    0.000000] one\n"
    assert first_missing(["one", "two", "one"], log) is None
    assert first_missing(["two", "two"], log) == "two"


def test_an_unknown_recording_comes_with_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean 'slab\.zero-size'"):
        recording("slab.zero-sise")
