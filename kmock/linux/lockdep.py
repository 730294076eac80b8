"""``<linux/lockdep.h>``: saying which locks are held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.linux._api import api
from kmock.linux._header import header_getattr

if TYPE_CHECKING:
    from kmock.machine import Kernel


@api(since="2.6.36")
def lockdep_is_held(k: Kernel, lock: Any) -> int:
    """Whether the task holds ``lock``."""
    return int(any(held.lock is lock for held in k.current.held))


@api(since="2.6.30")
def lockdep_assert_held(k: Kernel, lock: Any) -> None:
    """WARN unless the task holds ``lock``."""
    k.lockdep.assert_held(lock, lambda held: True)


@api(since="3.14")
def lockdep_assert_held_write(k: Kernel, lock: Any) -> None:
    """WARN unless the task holds ``lock`` for writing."""
    k.lockdep.assert_held(lock, lambda held: not held.read)


@api(since="3.14")
def lockdep_assert_held_read(k: Kernel, lock: Any) -> None:
    """WARN unless the task holds ``lock`` for reading."""
    k.lockdep.assert_held(lock, lambda held: held.read)


@api(since="5.13")
def lockdep_assert_not_held(k: Kernel, lock: Any) -> None:
    """WARN if the task holds ``lock``."""
    k.lockdep.assert_not_held(lock)


@api(since="2.6.18", undo="lockdep_on")
def lockdep_off(k: Kernel) -> None:
    """Have lockdep look away in this task."""
    k.current.lockdep_off += 1


@api(since="2.6.18")
def lockdep_on(k: Kernel) -> None:
    """Undo ``lockdep_off()``."""
    k.current.lockdep_off -= 1


SINGLE_DEPTH_NESTING = 1

__getattr__ = header_getattr(
    __name__, {"might_lock", "lockdep_set_class", "lock_class_key", "lockdep_set_novalidate_class"}
)
__all__ = [
    "SINGLE_DEPTH_NESTING",
    "lockdep_assert_held",
    "lockdep_assert_held_read",
    "lockdep_assert_held_write",
    "lockdep_assert_not_held",
    "lockdep_is_held",
    "lockdep_off",
    "lockdep_on",
]
