"""A counter that a process and an interrupt handler of the same processor both increase, with interrupts on."""

from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.irqflags import local_irq_restore, local_irq_save
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u32

FINDS = {"data-race", "AssertionError"}
BOOT = {"cpus": 1}
IRQ = 3


class Dev(Struct):
    errors: u32


def handler(irq, dev):
    dev.errors += 1
    return IRQ_HANDLED


def count(dev, *, mended):
    if not mended:
        dev.errors += 1
        return
    flags = local_irq_save()
    dev.errors += 1
    local_irq_restore(flags)


def program(k, *, mended):
    dev = Dev.at(kzalloc(64, GFP_KERNEL))
    assert request_irq(IRQ, handler, 0, "seeded", dev) == 0
    k.spawn(lambda: count(dev, mended=mended), name="count")
    k.spawn(k.raise_irq, IRQ, name="device")
    k.join()
    free_irq(IRQ, dev)
    errors = dev.errors
    kfree(dev)
    assert errors == 2
