from kmock.linux.interrupt import IRQ_HANDLED, IRQ_NONE, IRQF_SHARED, free_irq, request_irq

LINE = 9


def deaf(irq, dev_id):
    return IRQ_NONE


def listening(irq, dev_id):
    return IRQ_HANDLED


def good(k):
    request_irq(LINE, deaf, IRQF_SHARED, "deaf", deaf)
    request_irq(LINE, listening, IRQF_SHARED, "listening", listening)
    for _ in range(100_000):
        k.raise_irq(LINE)
    free_irq(LINE, listening)
    free_irq(LINE, deaf)
