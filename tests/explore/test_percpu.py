"""Another processor's copy of a per-CPU variable is memory that two processors share."""

from __future__ import annotations

from kmock.explore.search import explore
from kmock.linux.compiler import READ_ONCE
from kmock.linux.percpu import DEFINE_PER_CPU, for_each_possible_cpu, per_cpu, this_cpu_inc
from kmock.linux.types import u64

counted = DEFINE_PER_CPU(u64, "counted")


def beside(other):
    """A program in which processor 1 counts while processor 0 does ``other``."""

    def program(k):
        k.spawn(lambda: [this_cpu_inc(counted) for _ in range(3)], cpu=1, name="count")
        k.spawn(other, cpu=0, name="other")
        k.join()

    return program


def reset():
    per_cpu(counted, 1).value = 0


def read():
    return sum(READ_ONCE(per_cpu(counted, cpu).value) for cpu in for_each_possible_cpu())


def test_a_plain_store_to_another_processors_copy_races():
    assert explore(beside(reset)).failed.failure == {"data-race"}


def test_a_marked_load_of_every_copy_does_not():
    assert explore(beside(read), runs=60).failed is None
