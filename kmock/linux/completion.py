"""``<linux/completion.h>``: waiting for somebody to say that something is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import completion as _completion
from kmock.kernel.completion import completion
from kmock.kernel.task import TASK_INTERRUPTIBLE, TASK_KILLABLE, TASK_UNINTERRUPTIBLE
from kmock.kernel.time import MAX_SCHEDULE_TIMEOUT
from kmock.linux._api import Sleeps, api
from kmock.linux._header import header_getattr
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.machine import Kernel


def DECLARE_COMPLETION(name: str) -> completion:
    """Define an initialised completion; may run before any kernel is booted."""
    return completion(name, definition_site())


def DECLARE_COMPLETION_ONSTACK(name: str) -> completion:
    """Define an initialised completion that is a local variable."""
    return completion(name, definition_site(), on_stack=True)


@api(since="2.4.7")
def init_completion(k: Kernel, x: completion) -> None:
    """Make ``x`` usable, with nothing done."""
    k.lockdep.initialise(x)


@api(since="3.13")
def reinit_completion(k: Kernel, x: completion) -> None:
    """Use ``x`` once more: nothing is done."""
    x.of(k).count = 0


@api(since="2.4.7")
def complete(k: Kernel, x: completion) -> None:
    """Let one waiter go on, or the next that comes; in any context."""
    _completion.complete(k, x)


@api(since="2.5.38")
def complete_all(k: Kernel, x: completion) -> None:
    """Let all waiters go on, and all that will come until ``reinit_completion()``."""
    _completion.complete_all(k, x)


@api(since="2.4.7", sleeps=Sleeps.ALWAYS)
def wait_for_completion(k: Kernel, x: completion) -> None:
    """Sleep, deaf to signals, until ``x`` is completed."""
    _completion.wait(k, x)


@api(since="2.6.8", sleeps=Sleeps.ALWAYS, fails=True)
def wait_for_completion_timeout(k: Kernel, x: completion, timeout: int) -> int:
    """Wait at most ``timeout`` jiffies: 0 when they are over, else those left, at least 1."""
    return _completion.wait(k, x, TASK_UNINTERRUPTIBLE, timeout)


@api(since="2.6.8", sleeps=Sleeps.ALWAYS, fails=True)
def wait_for_completion_interruptible(k: Kernel, x: completion) -> int:
    """Wait: 0; or -ERESTARTSYS when a signal comes first."""
    return min(_completion.wait(k, x, TASK_INTERRUPTIBLE, MAX_SCHEDULE_TIMEOUT), 0)


@api(since="2.6.8", sleeps=Sleeps.ALWAYS, fails=True)
def wait_for_completion_interruptible_timeout(k: Kernel, x: completion, timeout: int) -> int:
    """Wait at most ``timeout`` jiffies: those left, 0, or -ERESTARTSYS."""
    return _completion.wait(k, x, TASK_INTERRUPTIBLE, timeout)


@api(since="2.6.22", sleeps=Sleeps.ALWAYS, fails=True)
def wait_for_completion_killable(k: Kernel, x: completion) -> int:
    """Wait: 0; or -ERESTARTSYS when a deadly signal comes first."""
    return min(_completion.wait(k, x, TASK_KILLABLE, MAX_SCHEDULE_TIMEOUT), 0)


@api(since="2.6.26", sleeps=Sleeps.ALWAYS, fails=True)
def wait_for_completion_killable_timeout(k: Kernel, x: completion, timeout: int) -> int:
    """Wait at most ``timeout`` jiffies: those left, 0, or -ERESTARTSYS."""
    return _completion.wait(k, x, TASK_KILLABLE, timeout)


@api(since="2.6.26")
def try_wait_for_completion(k: Kernel, x: completion) -> bool:
    """Take a completion if there is one, without sleeping."""
    return _completion.try_wait(k, x)


@api(since="2.6.26")
def completion_done(k: Kernel, x: completion) -> bool:
    """Whether a wait would end at once."""
    return x.of(k).count > 0


__getattr__ = header_getattr(__name__)
__all__ = [
    "DECLARE_COMPLETION",
    "DECLARE_COMPLETION_ONSTACK",
    "complete",
    "complete_all",
    "completion",
    "completion_done",
    "init_completion",
    "reinit_completion",
    "try_wait_for_completion",
    "wait_for_completion",
    "wait_for_completion_interruptible",
    "wait_for_completion_interruptible_timeout",
    "wait_for_completion_killable",
    "wait_for_completion_killable_timeout",
    "wait_for_completion_timeout",
]
