from kmock.linux.interrupt import IRQ_NONE, IRQF_SHARED, disable_irq, enable_irq, free_irq, request_irq
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")
LINE = 9


def handler(irq, dev_id):
    return IRQ_NONE


def dev_init():
    return request_irq(LINE, handler, IRQF_SHARED, "dev", dev_init)


def dev_exit():
    disable_irq(LINE)
    free_irq(LINE, dev_init)
    enable_irq(LINE)


module_init(dev_init)
module_exit(dev_exit)


def good(k):
    request_irq(LINE, handler, IRQF_SHARED, "neighbour", good)
    k.rmmod(k.insmod(__file__))
    free_irq(LINE, good)
