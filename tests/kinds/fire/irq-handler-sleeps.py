from kmock.linux.delay import msleep
from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq


def program(k):
    def handler(irq, dev):
        msleep(1)  # here
        return IRQ_HANDLED

    dev = object()
    request_irq(9, handler, 0, "dev", dev)
    k.raise_irq(9)
    free_irq(9, dev)
