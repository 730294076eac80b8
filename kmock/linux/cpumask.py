"""``<linux/cpumask.h>``: which processors there are. All that are possible are present, and online.

C's loops have the variable as their first argument; here it is ``for cpu in for_each_possible_cpu():``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmock.machine import Kernel


@api(since="2.6.6")
def for_each_possible_cpu(k: Kernel) -> Iterator[int]:
    """The numbers of all processors that there may ever be, in order."""
    return iter(range(len(k.cpus)))


@api(since="2.6.16")
def for_each_present_cpu(k: Kernel) -> Iterator[int]:
    """The numbers of the processors that are there, in order."""
    return iter(range(len(k.cpus)))


@api(since="2.6.6")
def for_each_online_cpu(k: Kernel) -> Iterator[int]:
    """The numbers of the processors that run, in order."""
    return iter(range(len(k.cpus)))


@api(since="2.6.0")
def num_possible_cpus(k: Kernel) -> int:
    """How many processors there may ever be."""
    return len(k.cpus)


@api(since="2.6.16")
def num_present_cpus(k: Kernel) -> int:
    """How many processors are there."""
    return len(k.cpus)


@api(since="2.6.0")
def num_online_cpus(k: Kernel) -> int:
    """How many processors run."""
    return len(k.cpus)


@api(since="2.6.0")
def cpu_possible(k: Kernel, cpu: int) -> bool:
    """Whether there may ever be a processor of that number."""
    return 0 <= cpu < len(k.cpus)


@api(since="2.5.39")
def cpu_online(k: Kernel, cpu: int) -> bool:
    """Whether a processor of that number runs."""
    return 0 <= cpu < len(k.cpus)


@api(since="2.6.16")
def cpu_present(k: Kernel, cpu: int) -> bool:
    """Whether a processor of that number is there."""
    return 0 <= cpu < len(k.cpus)


__getattr__ = header_getattr(__name__, {"cpumask_of", "cpumask_t", "nr_cpu_ids", "cpu_online_mask", "cpumask_weight"})
__all__ = [
    "cpu_online",
    "cpu_possible",
    "cpu_present",
    "for_each_online_cpu",
    "for_each_possible_cpu",
    "for_each_present_cpu",
    "num_online_cpus",
    "num_possible_cpus",
    "num_present_cpus",
]
