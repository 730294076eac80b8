"""``struct lockdep_map`` in a driver's own hands: dependencies that no lock stands for (``include/linux/lockdep.h``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kmock.kernel.held import Held, lockdep_map
from kmock.sanitizers.lock_class import argument_at

if TYPE_CHECKING:
    from kmock.kernel.held import Lock
    from kmock.machine import Kernel
    from kmock.sanitizers.lock_class import Site, lock_class_key


def _watched(k: Kernel) -> bool:
    return k.config.lockdep and not k.current.lockdep_off


def acquire(k: Kernel, lock: Lock, how: str, *, read: int = 0) -> None:
    """``lock_map_acquire()``: what ``lock`` stands for begins; ``how`` names the call."""
    if not _watched(k):
        return
    state = lock.of(k)
    if not state.ready:
        k.lockdep.uninitialised(lock)
    chain = k.lockdep.acquire(lock, state, read=read, trylock="try" in how)
    held = Held(k, lock, read=bool(read), how=how, chain=chain)
    held.task.held.append(held)


def release(k: Kernel, lock: Lock) -> None:
    """``lock_map_release()``."""
    if not _watched(k):
        return
    held = next((held for held in reversed(k.current.held) if held.lock is lock), None)
    if held is None:
        k.lockdep.unlock_imbalance(lock, "lock-unlock-not-held")
    else:
        held.let_go(k)


def init(k: Kernel, lock: lockdep_map, name: str, key: lock_class_key, subclass: int) -> None:
    """``lockdep_init_map()``."""
    lock.of(k).ready = True
    k.lockdep.set_class(lock, key, name, subclass)


def set_class(k: Kernel, lock: Lock, key: lock_class_key, site: Site, subclass: int = 0) -> None:
    """``lockdep_set_class()``: the macro names the class by the text of its second argument, which stands at ``site``."""
    text = argument_at(site, 1) or "key"
    k.lockdep.set_class(lock, key, text if text.startswith("&") else f"&{text}", subclass)
