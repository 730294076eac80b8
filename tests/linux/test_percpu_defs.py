"""The three families of operations on this processor's copy do the same arithmetic and differ in what they ask of the caller."""

from __future__ import annotations

import pytest

from kmock.linux import percpu_defs
from kmock.linux.percpu_defs import DEFINE_PER_CPU, per_cpu
from kmock.linux.preempt import preempt_disable, preempt_enable
from kmock.linux.types import u32

counter = DEFINE_PER_CPU(u32, "counter")

STEPS = {
    "this_cpu_write __this_cpu_write raw_cpu_write": ((9,), None, 9),
    "this_cpu_read __this_cpu_read raw_cpu_read": ((), 9, 9),
    "this_cpu_add __this_cpu_add raw_cpu_add": ((5,), None, 14),
    "this_cpu_sub __this_cpu_sub raw_cpu_sub": ((2,), None, 12),
    "this_cpu_and __this_cpu_and raw_cpu_and": ((0b1010,), None, 0b1000),
    "this_cpu_or __this_cpu_or raw_cpu_or": ((0b0011,), None, 0b1011),
    "this_cpu_inc __this_cpu_inc raw_cpu_inc": ((), None, 12),
    "this_cpu_dec __this_cpu_dec raw_cpu_dec": ((), None, 11),
    "this_cpu_add_return __this_cpu_add_return raw_cpu_add_return": ((4,), 15, 15),
    "this_cpu_sub_return __this_cpu_sub_return raw_cpu_sub_return": ((3,), 12, 12),
    "this_cpu_inc_return __this_cpu_inc_return raw_cpu_inc_return": ((), 13, 13),
    "this_cpu_dec_return __this_cpu_dec_return raw_cpu_dec_return": ((), 12, 12),
    "this_cpu_xchg __this_cpu_xchg raw_cpu_xchg": ((20,), 12, 20),
    "this_cpu_cmpxchg __this_cpu_cmpxchg raw_cpu_cmpxchg": ((20, 1), 20, 1),
}


@pytest.mark.parametrize("family", range(3), ids=["this_cpu", "__this_cpu", "raw_cpu"])
def test_every_operation_changes_this_processors_copy_and_no_other(kernel, family):
    preempt_disable()
    for names, (arguments, returned, after) in STEPS.items():
        name = names.split()[family]
        assert (name, getattr(percpu_defs, name)(counter, *arguments)) == (name, returned)
        assert (name, per_cpu(counter, 0).value) == (name, after)
    preempt_enable()
    assert per_cpu(counter, 1).value == 0
