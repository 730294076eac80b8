"""The files in which lockdep tells what it knows."""

from __future__ import annotations

import re

import pytest

import kmock
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock


@pytest.fixture
def k():
    with kmock.boot() as kernel:
        outer, inner, irq = DEFINE_MUTEX("outer"), DEFINE_SPINLOCK("inner"), DEFINE_SPINLOCK("irq")
        mutex_lock(outer)
        spin_lock(inner)
        spin_unlock(inner)
        mutex_unlock(outer)
        with kernel.hardirq():
            spin_lock(irq)
            spin_unlock(irq)
        yield kernel


def test_classes(k):
    text = k.read_file("/proc/lockdep")
    assert text.startswith("all lock classes:\n")
    assert re.search(
        r"^[0-9a-f]{16} FD:    2 BD:    1 \+\.\+\.: outer\n -> \[[0-9a-f]{16}\] inner\n\n", text, re.MULTILINE
    )
    assert re.search(r"^[0-9a-f]{16} FD:    1 BD:    2 \+\.\+\.: inner\n\n", text, re.MULTILINE)
    assert re.search(r"^[0-9a-f]{16} FD:    1 BD:    1 -\.\.\.: irq\n\n", text, re.MULTILINE)


def test_chains(k):
    text = re.sub("[0-9a-f]{16}", "<key>", k.read_file("/proc/lockdep_chains"))
    assert text.startswith("all lock chains:\n")
    assert "irq_context: 0\n[<key>] outer\n[<key>] inner\n\n" in text
    assert "irq_context: hardirq\n[<key>] irq\n\n" in text


def test_stats(k):
    rows = dict(re.findall(r"^ ([^:]+): +(\d+)", k.read_file("/proc/lockdep_stats"), re.MULTILINE))
    wanted = {
        "lock-classes": 3,
        "direct dependencies": 2,
        "indirect dependencies": 4,
        "dependency chains": 3,
        "in-hardirq chains": 1,
        "in-process chains": 2,
        "hardirq-safe locks": 1,
        "hardirq-unsafe locks": 2,
        "irq-read-safe locks": 0,
        "max locking depth": 2,
        "debug_locks": 1,
    }
    assert {name: int(rows[name]) for name in wanted} == wanted
