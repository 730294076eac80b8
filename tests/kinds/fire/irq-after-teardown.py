from kmock.linux.interrupt import IRQ_HANDLED, request_irq
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, addressof, sizeof, u32

LINE = 9


class device(Struct):
    interrupts: u32


def handler(irq, dev):
    dev.interrupts += 1  # here
    return IRQ_HANDLED


def remove(k, dev):
    kfree(addressof(dev))
    k.raise_irq(LINE)


def program(k):
    dev = device.at(kzalloc(sizeof(device), GFP_KERNEL))
    request_irq(LINE, handler, 0, "dev", dev)
    remove(k, dev)
