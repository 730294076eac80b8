"""``<linux/spinlock.h>``: locks that spin, and what they turn off while they are held.

``flags`` come back: ``flags = spin_lock_irqsave(lock)``, ``ok, flags = spin_trylock_irqsave(lock)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel import spinlock
from kmock.kernel.spinlock import raw_spinlock_t, spinlock_t
from kmock.kernel.wait import driver_place
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.bottom_half import (
    local_bh_disable,
    local_bh_enable,
)
from kmock.linux.irqflags import (
    irqs_disabled,
    irqs_disabled_flags,
    local_irq_disable,
    local_irq_enable,
    local_irq_restore,
    local_irq_save,
    local_save_flags,
)
from kmock.linux.preempt import (
    HARDIRQ_MASK,
    HARDIRQ_OFFSET,
    NMI_MASK,
    NMI_OFFSET,
    PREEMPT_MASK,
    PREEMPT_OFFSET,
    SOFTIRQ_DISABLE_OFFSET,
    SOFTIRQ_MASK,
    SOFTIRQ_OFFSET,
    hardirq_count,
    in_atomic,
    in_hardirq,
    in_interrupt,
    in_irq,
    in_nmi,
    in_serving_softirq,
    in_softirq,
    in_task,
    migrate_disable,
    migrate_enable,
    nmi_count,
    preempt_count,
    preempt_disable,
    preempt_enable,
    preempt_enable_no_resched,
    preemptible,
    softirq_count,
)
from kmock.linux.rwlock import (
    DEFINE_RWLOCK,
    read_lock,
    read_lock_bh,
    read_lock_irq,
    read_lock_irqsave,
    read_trylock,
    read_unlock,
    read_unlock_bh,
    read_unlock_irq,
    read_unlock_irqrestore,
    rwlock_init,
    rwlock_t,
    write_lock,
    write_lock_bh,
    write_lock_irq,
    write_lock_irqsave,
    write_trylock,
    write_unlock,
    write_unlock_bh,
    write_unlock_irq,
    write_unlock_irqrestore,
)
from kmock.sanitizers.lockdep import definition_site

if TYPE_CHECKING:
    from kmock.kernel.held import Lock
    from kmock.kernel.preempt import Flags
    from kmock.machine import Kernel


def DEFINE_SPINLOCK(name: str) -> spinlock_t:
    """Define an initialised spin lock; may run before any kernel is booted."""
    return spinlock_t(name, definition_site())


def DEFINE_RAW_SPINLOCK(name: str) -> raw_spinlock_t:
    """Define an initialised raw spin lock."""
    return raw_spinlock_t(name, definition_site())


@api(since="1.3.70")
def spin_lock_init(k: Kernel, lock: Lock) -> None:
    """Make ``lock`` usable, and free; not while somebody holds it."""
    k.lockdep.initialise(lock)


@api(since="1.3.70", undo="spin_unlock")
def spin_lock(k: Kernel, lock: Lock) -> None:
    """Take ``lock``, spinning until it is free; preemption is off until ``spin_unlock()``."""
    spinlock.lock(k, lock, "spin_lock")


@api(since="2.6.18", undo="spin_unlock")
def spin_lock_nested(k: Kernel, lock: Lock, subclass: int) -> None:
    """Take ``lock`` inside another one of its class, at level ``subclass``."""
    spinlock.lock(k, lock, "spin_lock_nested", subclass=subclass)


@api(since="3.7", undo="spin_unlock")
def spin_lock_nest_lock(k: Kernel, lock: Lock, nest_lock: Lock) -> None:
    """Take ``lock`` beside others of its class: whoever does so holds ``nest_lock``, so their order does not matter."""
    spinlock.lock(k, lock, "spin_lock_nest_lock", nest=nest_lock)


@api(since="4.0", undo="spin_unlock_bh")
def spin_lock_bh_nested(k: Kernel, lock: Lock, subclass: int) -> None:
    """``spin_lock_bh()`` inside another lock of the class."""
    spinlock.lock_bh(k, lock, "spin_lock_bh_nested", subclass=subclass)


@api(since="2.6.33", undo="raw_spin_unlock")
def raw_spin_lock_nested(k: Kernel, lock: raw_spinlock_t, subclass: int) -> None:
    """``raw_spin_lock()`` inside another lock of the class."""
    spinlock.lock(k, lock, "raw_spin_lock_nested", subclass=subclass)


@api(since="1.3.70", undo="spin_unlock_irq")
def spin_lock_irq(k: Kernel, lock: Lock) -> None:
    """Turn interrupts off and take ``lock``."""
    spinlock.lock_irq(k, lock, "spin_lock_irq")


@api(since="1.3.70", undo="spin_unlock_irqrestore")
def spin_lock_irqsave(k: Kernel, lock: Lock) -> Flags:
    """Save the interrupt flag, turn interrupts off and take ``lock``; the flags come back."""
    return spinlock.lock_irqsave(k, lock, "spin_lock_irqsave")


@api(since="2.6.18", undo="spin_unlock_irqrestore")
def spin_lock_irqsave_nested(k: Kernel, lock: Lock, subclass: int) -> Flags:
    """``spin_lock_irqsave()`` inside another lock of the class."""
    return spinlock.lock_irqsave(k, lock, "spin_lock_irqsave_nested", subclass=subclass)


@api(since="2.3.43", undo="spin_unlock_bh")
def spin_lock_bh(k: Kernel, lock: Lock) -> None:
    """Turn bottom halves off and take ``lock``."""
    spinlock.lock_bh(k, lock, "spin_lock_bh")


@api(since="1.3.70", undo="spin_unlock")
def spin_trylock(k: Kernel, lock: Lock) -> int:
    """Take ``lock`` if it is free: 1; else 0."""
    return spinlock.trylock(k, lock, "spin_trylock")


@api(since="2.6.0", undo="spin_unlock_bh")
def spin_trylock_bh(k: Kernel, lock: Lock) -> int:
    """``spin_trylock()`` with bottom halves off if it was free."""
    return spinlock.trylock_bh(k, lock, "spin_trylock_bh")


@api(since="2.6.10", undo="spin_unlock_irq")
def spin_trylock_irq(k: Kernel, lock: Lock) -> int:
    """``spin_trylock()`` with interrupts off if it was free."""
    return int(spinlock.trylock_irqsave(k, lock, "spin_trylock_irq")[0])


@api(since="2.6.10", undo="spin_unlock_irqrestore")
def spin_trylock_irqsave(k: Kernel, lock: Lock) -> tuple[int, Flags]:
    """``spin_trylock()`` with interrupts off if it was free: whether, and the flags."""
    return spinlock.trylock_irqsave(k, lock, "spin_trylock_irqsave")


@api(since="1.3.70")
def spin_unlock(k: Kernel, lock: Lock) -> None:
    """Release what ``spin_lock()`` took."""
    spinlock.unlock(k, lock, "spin_unlock")


@api(since="1.3.70")
def spin_unlock_irq(k: Kernel, lock: Lock) -> None:
    """Release what ``spin_lock_irq()`` took, and turn interrupts on whatever they were."""
    spinlock.unlock_irq(k, lock, "spin_unlock_irq")


@api(since="1.3.70")
def spin_unlock_irqrestore(k: Kernel, lock: Lock, flags: int) -> None:
    """Release what ``spin_lock_irqsave()`` took, and restore the interrupt flag from ``flags``."""
    spinlock.unlock_irqrestore(k, lock, flags, "spin_unlock_irqrestore")


@api(since="2.3.43")
def spin_unlock_bh(k: Kernel, lock: Lock) -> None:
    """Release what ``spin_lock_bh()`` took, and turn bottom halves on."""
    spinlock.unlock_bh(k, lock, "spin_unlock_bh")


@api(since="1.3.70")
def spin_is_locked(k: Kernel, lock: Lock) -> int:
    """Whether somebody holds ``lock``."""
    return int(lock.of(k).owner is not None)


@api(since="2.6.13", until="4.15", replaced_by="spin_is_locked")
def spin_can_lock(k: Kernel, lock: Lock) -> int:
    """Whether nobody holds ``lock``."""
    return int(lock.of(k).owner is None)


@api(since="2.6.33")
def assert_spin_locked(k: Kernel, lock: Lock) -> None:
    """BUG if nobody holds ``lock``."""
    if lock.of(k).owner is None:
        k.bug("lock-assert-failed", driver_place(k), key=("assert", lock))


@api(since="2.6.33", undo="raw_spin_unlock")
def raw_spin_lock(k: Kernel, lock: Lock) -> None:
    """``spin_lock()`` for a raw lock."""
    spinlock.lock(k, lock, "raw_spin_lock")


@api(since="2.6.33", undo="raw_spin_unlock_irq")
def raw_spin_lock_irq(k: Kernel, lock: Lock) -> None:
    """``spin_lock_irq()`` for a raw lock."""
    spinlock.lock_irq(k, lock, "raw_spin_lock_irq")


@api(since="2.6.33", undo="raw_spin_unlock_irqrestore")
def raw_spin_lock_irqsave(k: Kernel, lock: Lock) -> Flags:
    """``spin_lock_irqsave()`` for a raw lock."""
    return spinlock.lock_irqsave(k, lock, "raw_spin_lock_irqsave")


@api(since="2.6.33", undo="raw_spin_unlock_bh")
def raw_spin_lock_bh(k: Kernel, lock: Lock) -> None:
    """``spin_lock_bh()`` for a raw lock."""
    spinlock.lock_bh(k, lock, "raw_spin_lock_bh")


@api(since="2.6.33", undo="raw_spin_unlock")
def raw_spin_trylock(k: Kernel, lock: Lock) -> int:
    """``spin_trylock()`` for a raw lock."""
    return spinlock.trylock(k, lock, "raw_spin_trylock")


@api(since="2.6.33")
def raw_spin_unlock(k: Kernel, lock: Lock) -> None:
    """``spin_unlock()`` for a raw lock."""
    spinlock.unlock(k, lock, "raw_spin_unlock")


@api(since="2.6.33")
def raw_spin_unlock_irq(k: Kernel, lock: Lock) -> None:
    """``spin_unlock_irq()`` for a raw lock."""
    spinlock.unlock_irq(k, lock, "raw_spin_unlock_irq")


@api(since="2.6.33")
def raw_spin_unlock_irqrestore(k: Kernel, lock: Lock, flags: int) -> None:
    """``spin_unlock_irqrestore()`` for a raw lock."""
    spinlock.unlock_irqrestore(k, lock, flags, "raw_spin_unlock_irqrestore")


@api(since="2.6.33")
def raw_spin_unlock_bh(k: Kernel, lock: Lock) -> None:
    """``spin_unlock_bh()`` for a raw lock."""
    spinlock.unlock_bh(k, lock, "raw_spin_unlock_bh")


raw_spin_lock_init = spin_lock_init

__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_RAW_SPINLOCK",
    "DEFINE_RWLOCK",
    "DEFINE_SPINLOCK",
    "HARDIRQ_MASK",
    "HARDIRQ_OFFSET",
    "NMI_MASK",
    "NMI_OFFSET",
    "PREEMPT_MASK",
    "PREEMPT_OFFSET",
    "SOFTIRQ_DISABLE_OFFSET",
    "SOFTIRQ_MASK",
    "SOFTIRQ_OFFSET",
    "assert_spin_locked",
    "hardirq_count",
    "in_atomic",
    "in_hardirq",
    "in_interrupt",
    "in_irq",
    "in_nmi",
    "in_serving_softirq",
    "in_softirq",
    "in_task",
    "irqs_disabled",
    "irqs_disabled_flags",
    "local_bh_disable",
    "local_bh_enable",
    "local_irq_disable",
    "local_irq_enable",
    "local_irq_restore",
    "local_irq_save",
    "local_save_flags",
    "migrate_disable",
    "migrate_enable",
    "nmi_count",
    "preempt_count",
    "preempt_disable",
    "preempt_enable",
    "preempt_enable_no_resched",
    "preemptible",
    "raw_spin_lock",
    "raw_spin_lock_bh",
    "raw_spin_lock_init",
    "raw_spin_lock_irq",
    "raw_spin_lock_irqsave",
    "raw_spin_lock_nested",
    "raw_spin_trylock",
    "raw_spin_unlock",
    "raw_spin_unlock_bh",
    "raw_spin_unlock_irq",
    "raw_spin_unlock_irqrestore",
    "raw_spinlock_t",
    "read_lock",
    "read_lock_bh",
    "read_lock_irq",
    "read_lock_irqsave",
    "read_trylock",
    "read_unlock",
    "read_unlock_bh",
    "read_unlock_irq",
    "read_unlock_irqrestore",
    "rwlock_init",
    "rwlock_t",
    "softirq_count",
    "spin_can_lock",
    "spin_is_locked",
    "spin_lock",
    "spin_lock_bh",
    "spin_lock_bh_nested",
    "spin_lock_init",
    "spin_lock_irq",
    "spin_lock_irqsave",
    "spin_lock_irqsave_nested",
    "spin_lock_nest_lock",
    "spin_lock_nested",
    "spin_trylock",
    "spin_trylock_bh",
    "spin_trylock_irq",
    "spin_trylock_irqsave",
    "spin_unlock",
    "spin_unlock_bh",
    "spin_unlock_irq",
    "spin_unlock_irqrestore",
    "spinlock_t",
    "write_lock",
    "write_lock_bh",
    "write_lock_irq",
    "write_lock_irqsave",
    "write_trylock",
    "write_unlock",
    "write_unlock_bh",
    "write_unlock_irq",
    "write_unlock_irqrestore",
]
