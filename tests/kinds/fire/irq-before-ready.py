from kmock.linux.interrupt import IRQ_HANDLED, IRQF_SHARED, request_irq
from kmock.linux.slab import GFP_KERNEL, kzalloc
from kmock.linux.types import Ptr, Struct, sizeof

BOOT = {"debug_shirq": True}
LINE = 9


class device(Struct):
    ring: Ptr


def handler(irq, dev):
    dev.ring[0] = 1  # here
    return IRQ_HANDLED


def probe():
    dev = device.at(kzalloc(sizeof(device), GFP_KERNEL))
    request_irq(LINE, handler, IRQF_SHARED, "dev", dev)
    dev.ring = kzalloc(64, GFP_KERNEL)


def program(k):
    probe()
