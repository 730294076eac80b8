"""An exclusive open() that looks whether the device is free in one critical section and takes it in another."""

from kmock.linux.errno import EBUSY
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.types import Struct, u32

FINDS = {"AssertionError"}


class Dev(Struct):
    lock: spinlock_t
    users: u32


def open_unsafely(dev):
    spin_lock(dev.lock)
    busy = dev.users
    spin_unlock(dev.lock)
    if busy:
        return -EBUSY
    spin_lock(dev.lock)
    dev.users += 1
    spin_unlock(dev.lock)
    return 0


def open_safely(dev):
    spin_lock(dev.lock)
    result = -EBUSY if dev.users else 0
    if not result:
        dev.users += 1
    spin_unlock(dev.lock)
    return result


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(dev.lock)
    results = []
    for cpu in (0, 1):
        k.spawn(lambda: results.append((open_safely if mended else open_unsafely)(dev)), cpu=cpu, name=f"opener/{cpu}")
    k.join()
    kfree(dev)
    assert sorted(results) == [-EBUSY, 0]
