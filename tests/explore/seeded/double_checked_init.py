"""A table made on first use: that it is there is announced before it is."""

from kmock.linux.barrier import smp_load_acquire, smp_store_release
from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.mutex import mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Ptr, Struct, u32

FINDS = {"null-deref", "data-race"}


class Dev(Struct):
    lock: mutex
    ready: u32
    table: Ptr


def table_unsafely(dev):
    if not READ_ONCE(dev.ready):
        mutex_lock(dev.lock)
        if not dev.ready:
            WRITE_ONCE(dev, "ready", 1)
            dev.table = kzalloc(256, GFP_KERNEL)
        mutex_unlock(dev.lock)
    return dev.table


def table_safely(dev):
    if not smp_load_acquire(dev.ready):
        mutex_lock(dev.lock)
        if not dev.ready:
            dev.table = kzalloc(256, GFP_KERNEL)
            smp_store_release(dev, "ready", 1)
        mutex_unlock(dev.lock)
    return dev.table


def use(dev, slot, *, mended):
    table = (table_safely if mended else table_unsafely)(dev)
    WRITE_ONCE(table.u32, slot, 1)


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    mutex_init(dev.lock)
    for cpu in (0, 1):
        k.spawn(lambda slot=cpu: use(dev, slot, mended=mended), cpu=cpu, name=f"user/{cpu}")
    k.join()
    kfree(dev.table)
    kfree(dev)
