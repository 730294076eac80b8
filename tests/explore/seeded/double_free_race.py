"""Two ways to give a buffer up look whether it is still there, and both free it."""

from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kmock.linux.types import NULL, Ptr, Struct

FINDS = {"slab-double-free-race"}


class Dev(Struct):
    lock: spinlock_t
    buffer: Ptr


def drop(dev, *, mended):
    if mended:
        spin_lock(dev.lock)
        buffer, dev.buffer = dev.buffer, NULL
        spin_unlock(dev.lock)
        kfree(buffer)
    elif READ_ONCE(dev.buffer):
        kfree(READ_ONCE(dev.buffer))
        WRITE_ONCE(dev, "buffer", NULL)


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(dev.lock)
    dev.buffer = kzalloc(64, GFP_KERNEL)
    for cpu, name in enumerate(("close", "timeout")):
        k.spawn(lambda: drop(dev, mended=mended), cpu=cpu, name=name)
    k.join()
    kfree(dev)
