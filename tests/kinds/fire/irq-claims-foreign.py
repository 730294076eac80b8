from types import SimpleNamespace

from kmock.linux.interrupt import IRQ_HANDLED, IRQ_NONE, IRQF_SHARED, free_irq, request_irq

LINE = 9


def polite(irq, dev):
    if not dev.status:
        return IRQ_NONE
    dev.status = 0
    return IRQ_HANDLED


def greedy(irq, dev):  # here
    dev.status = 0
    return IRQ_HANDLED


def program(k):
    one, two = SimpleNamespace(status=0), SimpleNamespace(status=0)
    request_irq(LINE, greedy, IRQF_SHARED, "one", one)
    request_irq(LINE, polite, IRQF_SHARED, "two", two)
    two.status = 1
    k.raise_irq(LINE, dev_id=two)
    free_irq(LINE, two)
    free_irq(LINE, one)
