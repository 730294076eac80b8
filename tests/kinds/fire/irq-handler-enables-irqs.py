from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.irqflags import local_irq_enable


def program(k):
    def handler(irq, dev):
        local_irq_enable()  # here
        return IRQ_HANDLED

    dev = object()
    request_irq(9, handler, 0, "dev", dev)
    k.raise_irq(9)
    free_irq(9, dev)
