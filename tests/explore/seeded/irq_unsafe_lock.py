"""A lock that an interrupt handler takes is taken with interrupts on: the handler may come on the same processor."""

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
from kmock.linux.types import Struct, u32

FINDS = {"lock-recursive", "deadlock"}
# How locks are used is lockdep's to check; here it is to happen.
BOOT = {"lockdep": False}
IRQ = 7


class Dev(Struct):
    lock: spinlock_t
    packets: u32


def handler(irq, dev):
    spin_lock(dev.lock)
    dev.packets += 1
    spin_unlock(dev.lock)
    return IRQ_HANDLED


def transmit(dev, *, mended):
    if mended:
        flags = spin_lock_irqsave(dev.lock)
        dev.packets += 1
        spin_unlock_irqrestore(dev.lock, flags)
    else:
        spin_lock(dev.lock)
        dev.packets += 1
        spin_unlock(dev.lock)


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    spin_lock_init(dev.lock)
    assert request_irq(IRQ, handler, 0, "seeded", dev) == 0
    k.spawn(lambda: transmit(dev, mended=mended), cpu=0, name="transmit")
    k.spawn(k.raise_irq, IRQ, cpu=1, name="device")
    k.join()
    free_irq(IRQ, dev)
    packets = dev.packets
    kfree(dev)
    assert packets == 2
