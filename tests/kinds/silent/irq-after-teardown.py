from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, addressof, sizeof, u32

LINE = 9


class device(Struct):
    interrupts: u32


def handler(irq, dev):
    dev.interrupts += 1
    return IRQ_HANDLED


def remove(k, dev):
    k.raise_irq(LINE)
    free_irq(LINE, dev)
    kfree(addressof(dev))


def good(k):
    dev = device.at(kzalloc(sizeof(device), GFP_KERNEL))
    request_irq(LINE, handler, 0, "dev", dev)
    remove(k, dev)
