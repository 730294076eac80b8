"""``<linux/sched/signal.h>``: signals that wait for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_WAKEKILL
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.sched import SIGKILL, fatal_signal_pending, signal_pending, task_of

if TYPE_CHECKING:
    from kmock.kernel.task import Task
    from kmock.linux.sched import Current
    from kmock.machine import Kernel

SIGHUP = 1
SIGINT = 2
SIGTERM = 15


@api(since="1.0")
def send_sig(k: Kernel, sig: int, p: Task | Current, priv: int) -> int:
    """Send signal ``sig`` to task ``p``: it wakes from an interruptible sleep, and by SIGKILL from a killable one."""
    task = task_of(p)
    task.signal = sig
    k.sched.wake(task, TASK_INTERRUPTIBLE | TASK_WAKEKILL if sig == SIGKILL else TASK_INTERRUPTIBLE)
    return 0


@api(since="2.6.0")
def allow_signal(k: Kernel, sig: int) -> None:
    """Have a kernel thread listen to ``sig``, as all do here."""


@api(since="1.0")
def flush_signals(k: Kernel, t: Task | Current) -> None:
    """Forget the signals that wait for ``t``."""
    task_of(t).signal = 0


__getattr__ = header_getattr(__name__)
__all__ = [
    "SIGHUP",
    "SIGINT",
    "SIGKILL",
    "SIGTERM",
    "TASK_INTERRUPTIBLE",
    "allow_signal",
    "fatal_signal_pending",
    "flush_signals",
    "send_sig",
    "signal_pending",
]
