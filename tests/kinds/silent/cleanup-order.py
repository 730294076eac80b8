from kmock.linux.interrupt import IRQ_HANDLED, free_irq, request_irq
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

MODULE_LICENSE("GPL")
IRQ = 9
state = None


def handle(irq, data):
    data.u32[0] += 1
    return IRQ_HANDLED


def dev_init():
    global state
    state = kzalloc(64, GFP_KERNEL)
    return request_irq(IRQ, handle, 0, "dev", state)


def dev_exit():
    free_irq(IRQ, state)
    kfree(state)


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
