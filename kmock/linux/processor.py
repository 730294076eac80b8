"""``<asm/processor.h>``: what a loop says to its processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.6.0")
def cpu_relax(k: Kernel) -> None:
    """Say that this is a loop which waits for another processor or a device (``vdso/processor.h``).

    Others go on meanwhile. Where nobody is left who could end the loop, that is a soft lockup.
    """
    k.sched.relax()


__getattr__ = header_getattr(__name__)
__all__ = ["cpu_relax"]
