"""``<linux/lockdep.h>``: saying which locks are held, which come next, and which belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.hw.cpu import HARDIRQ_MASK, NMI_MASK, SOFTIRQ_MASK
from kmock.kernel import lock_map
from kmock.kernel.held import lockdep_map
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.sanitizers.lock_class import (
    MAX_LOCKDEP_SUBCLASSES,
    NO_VALIDATE,
    argument_at,
    definition_site,
    lock_class_key,
)

if TYPE_CHECKING:
    from kmock.machine import Kernel

SINGLE_DEPTH_NESTING = 1
LOCK_STATE_UNKNOWN = -1
LOCK_STATE_NOT_HELD = 0
LOCK_STATE_HELD = 1
_INTERRUPT = HARDIRQ_MASK | NMI_MASK


def STATIC_LOCKDEP_MAP_INIT(name: str, key: lock_class_key) -> lockdep_map:
    """Define an initialised map, of the class that its name and place make; C wants a key beside them."""
    return lockdep_map(name, definition_site())


# -- which locks are held -------------------------------------------------------------------------------


@api(since="2.6.36")
def lockdep_is_held(k: Kernel, lock: Any) -> int:
    """Whether the task holds ``lock``."""
    return int(any(held.lock is lock for held in k.current.held))


@api(since="4.12")
def lockdep_is_held_type(k: Kernel, lock: Any, r: int) -> int:
    """Whether the task holds ``lock``: for writing if ``r`` is 0, for reading if it is 1, in whatever way for -1."""
    return int(any(held.lock is lock and r in (-1, held.read) for held in k.current.held))


@api(since="5.13")
def lockdep_assert(k: Kernel, cond: Any) -> None:
    """WARN unless ``cond``; not where lockdep looks away."""
    if not cond:
        k.lockdep.assertion()


@api(since="2.6.30")
def lockdep_assert_held(k: Kernel, lock: Any) -> None:
    """WARN unless the task holds ``lock``."""
    k.lockdep.assert_held(lock, lambda held: True)


@api(since="3.18")
def lockdep_assert_held_once(k: Kernel, lock: Any) -> None:
    """``lockdep_assert_held()``, which speaks once for each place anyway."""
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


@api(since="5.11")
def lockdep_assert_none_held_once(k: Kernel) -> None:
    """WARN if the task holds any lock."""
    if k.current.held:
        k.lockdep.assertion()


@api(since="4.15")
def lockdep_assert_irqs_enabled(k: Kernel) -> None:
    """WARN if interrupts are off."""
    if k.cpu.irqs_off:
        k.lockdep.assertion()


@api(since="4.15")
def lockdep_assert_irqs_disabled(k: Kernel) -> None:
    """WARN if interrupts are on."""
    if not k.cpu.irqs_off:
        k.lockdep.assertion()


@api(since="5.2")
def lockdep_assert_in_irq(k: Kernel) -> None:
    """WARN outside a hard interrupt."""
    if not k.cpu.preempt_count & _INTERRUPT:
        k.lockdep.assertion()


@api(since="5.11")
def lockdep_assert_in_softirq(k: Kernel) -> None:
    """WARN unless a softirq runs, or bottom halves are off."""
    if not k.cpu.preempt_count & SOFTIRQ_MASK or k.cpu.preempt_count & _INTERRUPT:
        k.lockdep.assertion()


@api(since="5.9")
def lockdep_assert_preemption_enabled(k: Kernel) -> None:
    """WARN where the task can't be preempted."""
    if k.cpu.preempt_count or k.cpu.irqs_off:
        k.lockdep.assertion()


@api(since="5.9")
def lockdep_assert_preemption_disabled(k: Kernel) -> None:
    """WARN where the task can be preempted."""
    if not k.cpu.preempt_count and not k.cpu.irqs_off:
        k.lockdep.assertion()


# -- which may come -------------------------------------------------------------------------------------


@api(since="2.6.31")
def might_lock(k: Kernel, lock: Any) -> None:
    """Say that ``lock`` may be taken here: its order is looked at although it is not taken this time."""
    k.lockdep.might_take(lock)


@api(since="2.6.31")
def might_lock_read(k: Kernel, lock: Any) -> None:
    """``might_lock()`` for a reader."""
    k.lockdep.might_take(lock, read=1)


@api(since="5.5")
def might_lock_nested(k: Kernel, lock: Any, subclass: int) -> None:
    """``might_lock()`` inside another lock of the class; like the macro, as a reader."""
    k.lockdep.might_take(lock, read=1, subclass=subclass)


# -- which belong together ------------------------------------------------------------------------------


@api(since="2.6.18")
def lockdep_set_class(k: Kernel, lock: Any, key: lock_class_key) -> None:
    """Have ``lock`` be of the class of ``key``, whatever place initialised it."""
    lock_map.set_class(k, lock, key, definition_site())


@api(since="2.6.18")
def lockdep_set_class_and_name(k: Kernel, lock: Any, key: lock_class_key, name: str) -> None:
    """``lockdep_set_class()`` with a name for the class."""
    k.lockdep.set_class(lock, key, name)


@api(since="2.6.18")
def lockdep_set_class_and_subclass(k: Kernel, lock: Any, key: lock_class_key, sub: int) -> None:
    """``lockdep_set_class()`` and ``lockdep_set_subclass()``."""
    lock_map.set_class(k, lock, key, definition_site(), sub)


@api(since="2.6.18")
def lockdep_set_subclass(k: Kernel, lock: Any, sub: int) -> None:
    """Have ``lock`` be of subclass ``sub`` (below 8) wherever it is taken without one."""
    k.lockdep.set_subclass(lock, sub)


@api(since="2.6.33")
def lockdep_set_novalidate_class(k: Kernel, lock: Any) -> None:
    """Have lockdep look away from ``lock``."""
    k.lockdep.set_class(lock, NO_VALIDATE, argument_at(definition_site()) or "lock")


@api(since="2.6.34")
def lockdep_match_class(k: Kernel, lock: Any, key: lock_class_key) -> int:
    """Whether ``lock`` is of the class of ``key``."""
    return int(lock.of(k).key is key)


@api(since="5.1", undo="lockdep_unregister_key")
def lockdep_register_key(k: Kernel, key: lock_class_key) -> None:
    """Let a key that lies in allocated memory make a class."""
    key.registered = k


@api(since="5.1")
def lockdep_unregister_key(k: Kernel, key: lock_class_key) -> None:
    """Forget the classes of ``key``, and all that is known of their order."""
    key.registered = None
    k.lockdep.forget_key(key)


# -- dependencies without a lock ------------------------------------------------------------------------


@api(since="2.6.18")
def lockdep_init_map(k: Kernel, lock: lockdep_map, name: str, key: lock_class_key, subclass: int) -> None:
    """Initialise a map: of the class of ``key``, called ``name``."""
    lock_map.init(k, lock, name, key, subclass)


@api(since="2.6.27", undo="lock_map_release")
def lock_map_acquire(k: Kernel, map: lockdep_map) -> None:
    """Say that what ``map`` stands for begins, as if it were a lock that is taken."""
    lock_map.acquire(k, map, "lock_map_acquire")


@api(since="6.7", undo="lock_map_release")
def lock_map_acquire_try(k: Kernel, map: lockdep_map) -> None:
    """``lock_map_acquire()`` for what nobody waits for."""
    lock_map.acquire(k, map, "lock_map_acquire_try")


@api(since="2.6.29", undo="lock_map_release")
def lock_map_acquire_read(k: Kernel, map: lockdep_map) -> None:
    """``lock_map_acquire()`` for readers, which may nest."""
    lock_map.acquire(k, map, "lock_map_acquire_read", read=2)


@api(since="4.19", undo="lock_map_release")
def lock_map_acquire_tryread(k: Kernel, map: lockdep_map) -> None:
    """``lock_map_acquire_read()`` for what nobody waits for."""
    lock_map.acquire(k, map, "lock_map_acquire_tryread", read=2)


@api(since="2.6.27")
def lock_map_release(k: Kernel, map: lockdep_map) -> None:
    """Say that what ``map`` stands for is over."""
    lock_map.release(k, map)


@api(since="2.6.18", undo="lockdep_on")
def lockdep_off(k: Kernel) -> None:
    """Have lockdep look away in this task."""
    k.current.lockdep_off += 1


@api(since="2.6.18")
def lockdep_on(k: Kernel) -> None:
    """Undo ``lockdep_off()``."""
    k.current.lockdep_off -= 1


__getattr__ = header_getattr(__name__)
__all__ = [
    "LOCK_STATE_HELD",
    "LOCK_STATE_NOT_HELD",
    "LOCK_STATE_UNKNOWN",
    "MAX_LOCKDEP_SUBCLASSES",
    "SINGLE_DEPTH_NESTING",
    "STATIC_LOCKDEP_MAP_INIT",
    "lock_class_key",
    "lock_map_acquire",
    "lock_map_acquire_read",
    "lock_map_acquire_try",
    "lock_map_acquire_tryread",
    "lock_map_release",
    "lockdep_assert",
    "lockdep_assert_held",
    "lockdep_assert_held_once",
    "lockdep_assert_held_read",
    "lockdep_assert_held_write",
    "lockdep_assert_in_irq",
    "lockdep_assert_in_softirq",
    "lockdep_assert_irqs_disabled",
    "lockdep_assert_irqs_enabled",
    "lockdep_assert_none_held_once",
    "lockdep_assert_not_held",
    "lockdep_assert_preemption_disabled",
    "lockdep_assert_preemption_enabled",
    "lockdep_init_map",
    "lockdep_is_held",
    "lockdep_is_held_type",
    "lockdep_map",
    "lockdep_match_class",
    "lockdep_off",
    "lockdep_on",
    "lockdep_register_key",
    "lockdep_set_class",
    "lockdep_set_class_and_name",
    "lockdep_set_class_and_subclass",
    "lockdep_set_novalidate_class",
    "lockdep_set_subclass",
    "lockdep_unregister_key",
    "might_lock",
    "might_lock_nested",
    "might_lock_read",
]
