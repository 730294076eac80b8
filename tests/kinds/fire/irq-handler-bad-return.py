from kmock.linux.interrupt import free_irq, request_irq


def program(k):
    def handler(irq, dev):  # here
        return 12

    dev = object()
    request_irq(9, handler, 0, "dev", dev)
    k.raise_irq(9)
    free_irq(9, dev)
