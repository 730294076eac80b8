"""``<linux/cleanup.h>``: locks and contexts that end with their scope.

C's scope is a ``with`` block here: ``with guard(mutex)(lock):`` and ``with scoped_guard(spinlock_irqsave, lock):``; what
C names bare, as in ``guard(rcu)()``, is imported from this module. A guard that may fail gives whether it was taken:
``with guard(mutex_intr)(lock) as taken:``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmock.kernel.guard import Guard, Scope
from kmock.kernel.mutex import mutex
from kmock.linux._api import api
from kmock.linux._header import header_getattr
from kmock.linux.bottom_half import local_bh_disable, local_bh_enable
from kmock.linux.irqflags import local_irq_disable, local_irq_enable, local_irq_restore, local_irq_save
from kmock.linux.mutex import mutex_lock, mutex_lock_interruptible, mutex_trylock, mutex_unlock
from kmock.linux.preempt import migrate_disable, migrate_enable, preempt_disable, preempt_enable
from kmock.linux.rcupdate import rcu_read_lock, rcu_read_unlock
from kmock.linux.rwlock import (
    read_lock,
    read_lock_irq,
    read_lock_irqsave,
    read_unlock,
    read_unlock_irq,
    read_unlock_irqrestore,
    write_lock,
    write_lock_irq,
    write_lock_irqsave,
    write_unlock,
    write_unlock_irq,
    write_unlock_irqrestore,
)
from kmock.linux.rwsem import (
    down_read,
    down_read_interruptible,
    down_read_trylock,
    down_write,
    down_write_killable,
    down_write_trylock,
    up_read,
    up_write,
)
from kmock.linux.spinlock import (
    raw_spin_lock,
    raw_spin_lock_irq,
    raw_spin_lock_irqsave,
    raw_spin_lock_nested,
    raw_spin_trylock,
    raw_spin_unlock,
    raw_spin_unlock_irq,
    raw_spin_unlock_irqrestore,
    spin_lock,
    spin_lock_bh,
    spin_lock_irq,
    spin_lock_irqsave,
    spin_trylock,
    spin_trylock_irq,
    spin_unlock,
    spin_unlock_bh,
    spin_unlock_irq,
    spin_unlock_irqrestore,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmock.kernel.held import Lock
    from kmock.machine import Kernel


def DEFINE_GUARD(name: str, lock: Callable[[Any], object], unlock: Callable[[Any], object]) -> Guard:
    """Define a class of guards over one object: ``lock(object)`` begins the scope, ``unlock(object)`` ends it."""
    return Guard(name, lock, unlock)


def DEFINE_LOCK_GUARD_0(name: str, lock: Callable[[], object], unlock: Callable[[], object]) -> Guard:
    """Define a class of guards over nothing in particular, such as ``rcu``."""
    return Guard(name, lock, unlock)


def DEFINE_LOCK_GUARD_1(name: str, lock: Callable[[Any], Any], unlock: Callable[..., object]) -> Guard:
    """Define a class of guards that keep what ``lock(object)`` returns, for ``unlock(object, kept)``."""
    return Guard(name, lock, unlock, keeps=True)


def DEFINE_GUARD_COND(
    guard: Guard, ext: str, condlock: Callable[[Any], Any], succeeded: Callable[[Any], bool] = bool
) -> Guard:
    """Define the variant ``name + ext`` of a guard, which ``condlock(object)`` may fail to take."""
    return Guard(guard.name + ext, condlock, guard.unlock, conditional=succeeded)


def _granted(error: int) -> bool:
    return error == 0


mutex_guard = DEFINE_GUARD("mutex", mutex_lock, mutex_unlock)
mutex_try = DEFINE_GUARD_COND(mutex_guard, "_try", mutex_trylock)
mutex_intr = DEFINE_GUARD_COND(mutex_guard, "_intr", mutex_lock_interruptible, _granted)

rwsem_read = DEFINE_GUARD("rwsem_read", down_read, up_read)
rwsem_read_try = DEFINE_GUARD_COND(rwsem_read, "_try", down_read_trylock)
rwsem_read_intr = DEFINE_GUARD_COND(rwsem_read, "_intr", down_read_interruptible, _granted)
rwsem_write = DEFINE_GUARD("rwsem_write", down_write, up_write)
rwsem_write_try = DEFINE_GUARD_COND(rwsem_write, "_try", down_write_trylock)
rwsem_write_kill = DEFINE_GUARD_COND(rwsem_write, "_kill", down_write_killable, _granted)

spinlock = DEFINE_GUARD("spinlock", spin_lock, spin_unlock)
spinlock_try = DEFINE_GUARD_COND(spinlock, "_try", spin_trylock)
spinlock_irq = DEFINE_GUARD("spinlock_irq", spin_lock_irq, spin_unlock_irq)
spinlock_irq_try = DEFINE_GUARD_COND(spinlock_irq, "_try", spin_trylock_irq)
spinlock_bh = DEFINE_GUARD("spinlock_bh", spin_lock_bh, spin_unlock_bh)
spinlock_irqsave = DEFINE_LOCK_GUARD_1("spinlock_irqsave", spin_lock_irqsave, spin_unlock_irqrestore)

raw_spinlock = DEFINE_GUARD("raw_spinlock", raw_spin_lock, raw_spin_unlock)
raw_spinlock_try = DEFINE_GUARD_COND(raw_spinlock, "_try", raw_spin_trylock)
raw_spinlock_nested = DEFINE_GUARD("raw_spinlock_nested", lambda lock: raw_spin_lock_nested(lock, 1), raw_spin_unlock)
raw_spinlock_irq = DEFINE_GUARD("raw_spinlock_irq", raw_spin_lock_irq, raw_spin_unlock_irq)
raw_spinlock_irqsave = DEFINE_LOCK_GUARD_1("raw_spinlock_irqsave", raw_spin_lock_irqsave, raw_spin_unlock_irqrestore)

read_lock_guard = DEFINE_GUARD("read_lock", read_lock, read_unlock)
read_lock_irq_guard = DEFINE_GUARD("read_lock_irq", read_lock_irq, read_unlock_irq)
read_lock_irqsave_guard = DEFINE_LOCK_GUARD_1("read_lock_irqsave", read_lock_irqsave, read_unlock_irqrestore)
write_lock_guard = DEFINE_GUARD("write_lock", write_lock, write_unlock)
write_lock_irq_guard = DEFINE_GUARD("write_lock_irq", write_lock_irq, write_unlock_irq)
write_lock_irqsave_guard = DEFINE_LOCK_GUARD_1("write_lock_irqsave", write_lock_irqsave, write_unlock_irqrestore)

rcu = DEFINE_LOCK_GUARD_0("rcu", rcu_read_lock, rcu_read_unlock)
preempt = DEFINE_LOCK_GUARD_0("preempt", preempt_disable, preempt_enable)
migrate = DEFINE_LOCK_GUARD_0("migrate", migrate_disable, migrate_enable)
irq = DEFINE_LOCK_GUARD_0("irq", local_irq_disable, local_irq_enable)
irqsave = Guard("irqsave", local_irq_save, local_irq_restore, keeps=True)
bh = DEFINE_LOCK_GUARD_0("bh", local_bh_disable, local_bh_enable)

# What C names like the function or the type: the token means the guard there.
_TOKENS = {
    mutex: mutex_guard,
    read_lock: read_lock_guard,
    read_lock_irq: read_lock_irq_guard,
    read_lock_irqsave: read_lock_irqsave_guard,
    write_lock: write_lock_guard,
    write_lock_irq: write_lock_irq_guard,
    write_lock_irqsave: write_lock_irqsave_guard,
}


@api(since="6.5")
def guard(k: Kernel, name: Any) -> Guard:
    """Return the class of guards that C calls ``name``; its call is a ``with`` block's context, where the scope ends."""
    found = _TOKENS.get(name, name)
    if not isinstance(found, Guard):
        raise TypeError(f"{name!r} is no class of guards: define it with DEFINE_GUARD()")
    return found


@api(since="6.5")
def scoped_guard(k: Kernel, name: Any, *args: Lock) -> Scope:
    """The context of ``guard(name)(*args)``, for a block of its own."""
    return guard(name)(*args)


__getattr__ = header_getattr(__name__)
__all__ = [
    "DEFINE_GUARD",
    "DEFINE_GUARD_COND",
    "DEFINE_LOCK_GUARD_0",
    "DEFINE_LOCK_GUARD_1",
    "bh",
    "guard",
    "irq",
    "irqsave",
    "migrate",
    "mutex",
    "mutex_guard",
    "mutex_intr",
    "mutex_try",
    "preempt",
    "raw_spinlock",
    "raw_spinlock_irq",
    "raw_spinlock_irqsave",
    "raw_spinlock_nested",
    "raw_spinlock_try",
    "rcu",
    "read_lock",
    "read_lock_irq",
    "read_lock_irqsave",
    "rwsem_read",
    "rwsem_read_intr",
    "rwsem_read_try",
    "rwsem_write",
    "rwsem_write_kill",
    "rwsem_write_try",
    "scoped_guard",
    "spinlock",
    "spinlock_bh",
    "spinlock_irq",
    "spinlock_irq_try",
    "spinlock_irqsave",
    "spinlock_try",
    "write_lock",
    "write_lock_irq",
    "write_lock_irqsave",
]
