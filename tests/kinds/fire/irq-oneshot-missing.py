from kmock.linux.interrupt import IRQ_HANDLED, request_threaded_irq


def slow(irq, dev_id):
    return IRQ_HANDLED


def program(k):
    request_threaded_irq(9, None, slow, 0, "dev", program)  # here
