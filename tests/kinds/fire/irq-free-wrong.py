from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq


def program(k):
    one, other = object(), object()
    request_irq(9, lambda irq, dev: IRQ_HANDLED, 0, "dev", one)
    free_irq(9, other)  # here
    free_irq(9, one)
