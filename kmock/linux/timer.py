"""``<linux/timer.h>``: functions that are called at a jiffy, in softirq context, as ``function(timer)``.

The names of up to 4.14 are here too; a function set up by them is called with ``timer.data``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel.timer import TIMER_DEFERRABLE, TIMER_IRQSAFE, TIMER_PINNED, timer_list
from kmock.lang.struct import container_of
from kmock.linux._api import Where, api
from kmock.linux._header import header_getattr
from kmock.linux.jiffies import jiffies

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.machine import Kernel


def DEFINE_TIMER(name: str, function: Callable[[timer_list], object]) -> timer_list:
    """Define a timer that is set up."""
    return timer_list(function)


def from_timer(type: Any, callback_timer: timer_list, timer_fieldname: str) -> Any:
    """Return the structure that a timer is a member of; ``type`` is what C takes from the variable."""
    return container_of(callback_timer, type, timer_fieldname)


@api(since="4.14")
def timer_setup(k: Kernel, timer: timer_list, function: Callable[[timer_list], object], flags: int) -> None:
    """Initialise a timer that will call ``function(timer)``."""
    k.timers.setup(timer, function, flags)


@api(since="4.14")
def timer_setup_on_stack(k: Kernel, timer: timer_list, function: Callable[[timer_list], object], flags: int) -> None:
    """``timer_setup()`` for a timer on the stack."""
    k.timers.setup(timer, function, flags)


@api(since="2.6.23")
def destroy_timer_on_stack(k: Kernel, timer: timer_list) -> None:
    """A timer on the stack goes."""
    k.timers.memory_freed(timer, None)


@api(since="1.0", until="4.15", replaced_by="timer_setup")
def init_timer(k: Kernel, timer: timer_list) -> None:
    """Initialise a timer; its ``function``, ``data`` and ``expires`` are set afterwards."""
    k.timers.setup(timer, None, gets_data=True)


@api(since="2.6.18", until="4.15", replaced_by="timer_setup")
def setup_timer(k: Kernel, timer: timer_list, function: Callable[[Any], object], data: Any) -> None:
    """Initialise a timer that will call ``function(data)``."""
    k.timers.setup(timer, function, data=data, gets_data=True)


@api(since="1.0")
def add_timer(k: Kernel, timer: timer_list) -> None:
    """Start a timer that is not pending, for ``timer.expires``."""
    k.timers.add(timer)


@api(since="2.5.50")
def add_timer_on(k: Kernel, timer: timer_list, cpu: int) -> None:
    """``add_timer()`` on processor ``cpu``."""
    k.timers.add(timer, cpu)


@api(since="2.1.0")
def mod_timer(k: Kernel, timer: timer_list, expires: int) -> int:
    """Start a timer for ``expires``, or move it there: 1 if it was pending, else 0."""
    return k.timers.mod(timer, expires)


@api(since="2.6.30")
def mod_timer_pending(k: Kernel, timer: timer_list, expires: int) -> int:
    """``mod_timer()`` for a timer that is pending; nothing for another: 1 or 0."""
    return k.timers.mod(timer, expires, only_pending=True)


@api(since="4.20")
def timer_reduce(k: Kernel, timer: timer_list, expires: int) -> int:
    """``mod_timer()`` unless it is due sooner anyway: 1 if it was pending, else 0."""
    if k.timers.pending(timer) and timer.expires <= expires:
        return 1
    return k.timers.mod(timer, expires)


@api(since="1.0")
def del_timer(k: Kernel, timer: timer_list) -> int:
    """Stop a timer: 1 if it was pending. Its function may still run."""
    return k.timers.delete(timer)


@api(since="2.3.43")
def del_timer_sync(k: Kernel, timer: timer_list) -> int:
    """Stop a timer and wait for its function: 1 if it was pending. Not in hard interrupts."""
    return k.timers.delete_sync(timer)


@api(since="2.6.9", until="6.2", replaced_by="del_timer_sync")
def del_singleshot_timer_sync(k: Kernel, timer: timer_list) -> int:
    """``del_timer_sync()`` for a timer that doesn't start itself again."""
    return k.timers.delete_sync(timer)


@api(since="2.6.13")
def try_to_del_timer_sync(k: Kernel, timer: timer_list) -> int:
    """Stop a timer unless its function runs: 1, 0 if it was not pending, -1 if it runs."""
    return k.timers.try_to_delete_sync(timer)


@api(since="6.1")
def timer_delete(k: Kernel, timer: timer_list) -> int:
    """``del_timer()`` by its new name."""
    return k.timers.delete(timer)


@api(since="6.1")
def timer_delete_sync(k: Kernel, timer: timer_list) -> int:
    """``del_timer_sync()`` by its new name."""
    return k.timers.delete_sync(timer)


@api(since="6.1")
def timer_shutdown(k: Kernel, timer: timer_list) -> int:
    """Stop a timer for good: starting it does nothing from now on."""
    return k.timers.shut_down(timer, sync=False)


@api(since="6.1", illegal=Where.NMI)
def timer_shutdown_sync(k: Kernel, timer: timer_list) -> int:
    """``timer_shutdown()`` that waits for its function."""
    return k.timers.shut_down(timer, sync=True)


@api(since="1.0")
def timer_pending(k: Kernel, timer: timer_list) -> int:
    """Whether a timer was started and is not due yet."""
    return int(k.timers.pending(timer))


@api(since="2.6.20")
def round_jiffies(k: Kernel, j: int) -> int:
    """Round a time in jiffies to a whole second, unless that is over."""
    return _rounded(k, j, k.clock.jiffies)


@api(since="2.6.20")
def round_jiffies_relative(k: Kernel, j: int) -> int:
    """Round a delay in jiffies to the one that ends at a whole second."""
    now = k.clock.jiffies
    return _rounded(k, j + now, now) - now


def _rounded(k: Kernel, j: int, now: int) -> int:
    hz = k.config.hz
    rest = j % hz
    rounded = j - rest if rest < hz // 4 else j - rest + hz
    return rounded if rounded > now else j


__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_TIMER",
    "TIMER_DEFERRABLE",
    "TIMER_IRQSAFE",
    "TIMER_PINNED",
    "add_timer",
    "add_timer_on",
    "del_singleshot_timer_sync",
    "del_timer",
    "del_timer_sync",
    "destroy_timer_on_stack",
    "from_timer",
    "init_timer",
    "jiffies",
    "mod_timer",
    "mod_timer_pending",
    "round_jiffies",
    "round_jiffies_relative",
    "setup_timer",
    "timer_delete",
    "timer_delete_sync",
    "timer_list",
    "timer_pending",
    "timer_reduce",
    "timer_setup",
    "timer_setup_on_stack",
    "timer_shutdown",
    "timer_shutdown_sync",
    "try_to_del_timer_sync",
]
