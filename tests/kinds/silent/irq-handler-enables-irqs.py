from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.irqflags import local_irq_restore, local_irq_save


def good(k):
    def handler(irq, dev):
        flags = local_irq_save()
        local_irq_restore(flags)
        return IRQ_HANDLED

    dev = object()
    request_irq(9, handler, 0, "dev", dev)
    k.raise_irq(9)
    free_irq(9, dev)
