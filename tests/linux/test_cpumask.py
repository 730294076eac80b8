"""Which processors there are."""

from __future__ import annotations

import pytest

from kmock.linux.cpumask import (
    cpu_online,
    cpu_possible,
    cpu_present,
    for_each_online_cpu,
    for_each_possible_cpu,
    for_each_present_cpu,
    num_online_cpus,
    num_possible_cpus,
    num_present_cpus,
)


@pytest.mark.kernel(cpus=3)
def test_all_that_are_possible_run(kernel):
    for each, count, there in (
        (for_each_possible_cpu, num_possible_cpus, cpu_possible),
        (for_each_present_cpu, num_present_cpus, cpu_present),
        (for_each_online_cpu, num_online_cpus, cpu_online),
    ):
        assert list(each()) == [0, 1, 2]
        assert count() == 3
        assert [there(cpu) for cpu in (0, 2, 3)] == [True, True, False]
