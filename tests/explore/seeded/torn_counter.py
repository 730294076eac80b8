"""A 64-bit counter on a 32-bit machine is read while an interrupt changes it: half of the old and half of the new.

READ_ONCE() does not help: it reads every word once.
"""

from kmock.linux.compiler import READ_ONCE, WRITE_ONCE
from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.spinlock import (
    spin_lock,
    spin_lock_init,
    spin_lock_irqsave,
    spin_unlock,
    spin_unlock_irqrestore,
    spinlock_t,
)
from kmock.linux.types import Struct, u64

FINDS = {"atomicity-torn"}
BOOT = {"arch": "x86_32"}
IRQ = 5
BEFORE, AFTER = 0xFFFF_FFFF, 0x1_0000_0000


class Dev(Struct):
    lock: spinlock_t
    bytes: u64


def handler(irq, dev):
    spin_lock(dev.lock)
    WRITE_ONCE(dev, "bytes", dev.bytes + 1)
    spin_unlock(dev.lock)
    return IRQ_HANDLED


def show(dev, *, mended):
    if not mended:
        return READ_ONCE(dev.bytes)
    flags = spin_lock_irqsave(dev.lock)
    total = dev.bytes
    spin_unlock_irqrestore(dev.lock, flags)
    return total


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(dev.lock)
    dev.bytes = BEFORE
    assert request_irq(IRQ, handler, 0, "seeded", dev) == 0
    seen = []
    k.spawn(lambda: seen.append(show(dev, mended=mended)), cpu=0, name="show")
    k.spawn(k.raise_irq, IRQ, cpu=1, name="device")
    k.join()
    free_irq(IRQ, dev)
    kfree(dev)
    assert not mended or seen[0] in (BEFORE, AFTER)
