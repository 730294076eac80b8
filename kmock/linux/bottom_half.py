"""``<linux/bottom_half.h>``: softirqs off and on for this processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import preempt
from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.3.43", undo="local_bh_enable")
def local_bh_disable(k: Kernel) -> None:
    """Keep softirqs from this processor; calls nest."""
    preempt.local_bh_disable(k)


@api(since="2.3.43")
def local_bh_enable(k: Kernel) -> None:
    """Undo one ``local_bh_disable()``; not in hard interrupts, nor with interrupts off."""
    preempt.local_bh_enable(k)


__getattr__ = header_getattr(__name__)
__all__ = [
    "local_bh_disable",
    "local_bh_enable",
]
