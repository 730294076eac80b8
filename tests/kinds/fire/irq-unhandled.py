from kmock.linux.interrupt import IRQ_NONE, request_irq

LINE = 9


def handler(irq, dev_id):  # here
    return IRQ_NONE


def program(k):
    request_irq(LINE, handler, 0, "deaf", program)
    for _ in range(100_000):
        k.raise_irq(LINE)
