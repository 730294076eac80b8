"""remove() frees the device's data before it takes the interrupt handler off its line."""

from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

FINDS = {"slab-use-after-free-read", "slab-use-after-free-write", "data-race", "cleanup-order"}
IRQ = 9


class Dev(Struct):
    events: u32


def handler(irq, dev):
    dev.events += 1
    return IRQ_HANDLED


def remove(dev, *, mended):
    if mended:
        free_irq(IRQ, dev)
        kfree(dev)
    else:
        kfree(dev)
        free_irq(IRQ, dev)


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    assert request_irq(IRQ, handler, 0, "seeded", dev) == 0
    k.spawn(k.raise_irq, IRQ, cpu=1, name="device")
    k.spawn(lambda: remove(dev, mended=mended), cpu=0, name="remove")
    k.join()
