from kmock.linux.device import devres_release_all
from kmock.linux.interrupt import IRQ_HANDLED, devm_free_irq, devm_request_irq


def program(k):
    dev = k.device("dev")
    devm_request_irq(dev, 9, lambda irq, cookie: IRQ_HANDLED, 0, "dev", "cookie")
    devm_free_irq(dev, 9, "cookie")
    devres_release_all(dev)
