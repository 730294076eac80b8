from kmock.linux.interrupt import IRQ_HANDLED, request_irq
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")


def handler(irq, dev):
    return IRQ_HANDLED


def dev_init():
    return request_irq(9, handler, 0, "dev", "cookie")  # here


def dev_exit():
    pass


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
