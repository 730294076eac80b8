from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq


def good(k):
    dev = object()
    request_irq(9, lambda irq, dev: IRQ_HANDLED, 0, "dev", dev)
    k.raise_irq(9)
    free_irq(9, dev)
