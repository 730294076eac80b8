from types import SimpleNamespace

from kmock.linux.interrupt import IRQ_HANDLED, IRQ_NONE, IRQF_SHARED, free_irq, request_irq

LINE = 9


def polite(irq, dev):
    if not dev.status:
        return IRQ_NONE
    dev.status = 0
    return IRQ_HANDLED


def good(k):
    devices = SimpleNamespace(status=0), SimpleNamespace(status=0)
    for dev in devices:
        request_irq(LINE, polite, IRQF_SHARED, "polite", dev)
    for dev in devices:
        dev.status = 1
        k.raise_irq(LINE, dev_id=dev)
    for dev in devices:
        free_irq(LINE, dev)
