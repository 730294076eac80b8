"""Two paths take the same two mutexes in opposite order."""

from kmock.linux.mutex import mutex, mutex_init, mutex_lock, mutex_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

FINDS = {"deadlock"}
# The order of locks is lockdep's to check; here it is to happen.
BOOT = {"lockdep": False}


class Dev(Struct):
    config: mutex
    queue: mutex
    depth: u32


def resize(dev):
    mutex_lock(dev.config)
    mutex_lock(dev.queue)
    dev.depth += 1
    mutex_unlock(dev.queue)
    mutex_unlock(dev.config)


def flush(dev, *, mended):
    first, second = (dev.config, dev.queue) if mended else (dev.queue, dev.config)
    mutex_lock(first)
    mutex_lock(second)
    dev.depth = 0
    mutex_unlock(second)
    mutex_unlock(first)


def program(k, *, mended):
    dev = Dev.at(kzalloc(128, GFP_KERNEL))
    mutex_init(dev.config)
    mutex_init(dev.queue)
    k.spawn(resize, dev, cpu=0)
    k.spawn(lambda: flush(dev, mended=mended), cpu=1, name="flush")
    k.join()
    kfree(dev)
