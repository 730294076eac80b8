from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")


def handler(irq, dev):
    return IRQ_HANDLED


def dev_init():
    return request_irq(9, handler, 0, "dev", "cookie")


def dev_exit():
    free_irq(9, "cookie")


module_init(dev_init)
module_exit(dev_exit)


def good(k):
    k.rmmod(k.insmod(__file__))
