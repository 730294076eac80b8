"""``<linux/smp.h>``: which processor this is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import preempt
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.cpumask import *  # noqa: F403 -- the C header includes it
from kmock.linux.cpumask import __all__ as _cpumask

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.0")
def smp_processor_id(k: Kernel) -> int:
    """Number of this processor; where the task could be moved to another, that is reported."""
    return preempt.smp_processor_id(k)


@api(since="2.6.9")
def raw_smp_processor_id(k: Kernel) -> int:
    """Number of this processor, unchecked."""
    return k.cpu.id


@api(since="2.5.39", undo="put_cpu")
def get_cpu(k: Kernel) -> int:
    """Turn preemption off: number of this processor, which stays so until ``put_cpu()``."""
    preempt.preempt_disable(k)
    return k.cpu.id


@api(since="2.5.39")
def put_cpu(k: Kernel) -> None:
    """Undo ``get_cpu()``."""
    preempt.preempt_enable(k)


__getattr__ = header_getattr(__name__, {"smp_call_function_single", "on_each_cpu", "smp_call_function"})
_OWN = [
    "get_cpu",
    "put_cpu",
    "raw_smp_processor_id",
    "smp_processor_id",
]
__all__ = sorted({*_OWN, *_cpumask})  # noqa: PLE0605 -- a list
