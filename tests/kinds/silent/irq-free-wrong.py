from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq


def good(k):
    one = object()
    request_irq(9, lambda irq, dev: IRQ_HANDLED, 0, "dev", one)
    free_irq(9, one)
