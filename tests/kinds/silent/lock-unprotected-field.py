from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import (
    spin_lock,
    spin_lock_init,
    spin_lock_irqsave,
    spin_unlock,
    spin_unlock_irqrestore,
    spinlock_t,
)
from kmock.linux.types import Struct, sizeof, u32

BOOT = {"lint": True}


class stats(Struct):
    lock: spinlock_t
    packets: u32


def received(dev):
    spin_lock(dev.lock)
    dev.packets += 1
    spin_unlock(dev.lock)


def read(dev):
    flags = spin_lock_irqsave(dev.lock)
    n = dev.packets
    spin_unlock_irqrestore(dev.lock, flags)
    return n


def good(k):
    dev = stats.at(kzalloc(sizeof(stats), GFP_KERNEL))
    spin_lock_init(dev.lock)
    dev.packets = 0
    for _ in range(5):
        with k.hardirq():
            received(dev)
        read(dev)
    flags = spin_lock_irqsave(dev.lock)
    dev.packets = 0
    spin_unlock_irqrestore(dev.lock, flags)
    with k.hardirq():
        received(dev)
    assert dev.packets == 1
    kfree(dev)
