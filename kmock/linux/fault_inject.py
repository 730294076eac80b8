"""``<linux/fault-inject.h>``: fault points of a driver's own.

A driver declares a ``struct fault_attr``, asks ``should_fail()`` where it could fail, and takes the error path
if the answer is yes. Its fields are those of :class:`kmock.fault.attr.FaultAttr`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.fault.attr import FaultAttr
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel

fault_attr = FaultAttr


def DECLARE_FAULT_ATTR(name: str) -> FaultAttr:
    """Return a ``struct fault_attr`` with the kernel's defaults: it never fails until its probability is set."""
    return FaultAttr(name)


@api(since="2.6.20")
def should_fail(k: Kernel, attr: FaultAttr, size: int) -> bool:
    """Whether a call that takes ``size`` of ``attr``'s space is to fail now (``lib/fault-inject.c``)."""
    return k.faults.should_fail_ex(attr, size)


@api(since="2.6.20")
def setup_fault_attr(k: Kernel, attr: FaultAttr, str: str) -> int:
    """Set ``attr`` from ``"<interval>,<probability>,<space>,<times>"``; 1 if that could be read, else 0."""
    return k.faults.setup(attr, str)


__getattr__ = header_getattr(__name__, not_built=("fault_create_debugfs_attr", "fault_config", "FAULT_NOWARN"))
__all__ = ["DECLARE_FAULT_ATTR", "fault_attr", "setup_fault_attr", "should_fail"]
