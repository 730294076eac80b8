from kmock.linux.interrupt import IRQ_HANDLED, IRQF_SHARED, free_irq, request_irq
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Ptr, Struct, addressof, sizeof

BOOT = {"debug_shirq": True}
LINE = 9


class device(Struct):
    ring: Ptr


def handler(irq, dev):
    dev.ring[0] = 1
    return IRQ_HANDLED


def probe():
    dev = device.at(kzalloc(sizeof(device), GFP_KERNEL))
    dev.ring = kzalloc(64, GFP_KERNEL)
    request_irq(LINE, handler, IRQF_SHARED, "dev", dev)
    return dev


def good(k):
    dev = probe()
    free_irq(LINE, dev)
    kfree(dev.ring)
    kfree(addressof(dev))
