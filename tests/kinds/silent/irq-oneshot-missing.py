from kmock.linux.interrupt import IRQ_HANDLED, IRQF_ONESHOT, free_irq, request_threaded_irq


def slow(irq, dev_id):
    return IRQ_HANDLED


def good(k):
    request_threaded_irq(9, None, slow, IRQF_ONESHOT, "dev", good)
    free_irq(9, good)
