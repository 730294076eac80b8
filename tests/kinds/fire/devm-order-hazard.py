from kmock.linux.interrupt import IRQ_HANDLED, devm_request_irq
from kmock.linux.platform_device import (
    platform_driver,
    platform_driver_register,
    platform_get_drvdata,
    platform_set_drvdata,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc


def handler(irq, state):
    state.u32[0] += 1
    return IRQ_HANDLED


def probe(pdev):
    state = kzalloc(64, GFP_KERNEL)
    platform_set_drvdata(pdev, state)
    return devm_request_irq(pdev.dev, 9, handler, 0, "dev", state)


def remove(pdev):
    kfree(platform_get_drvdata(pdev))  # here
    return 0


def program(k):
    k.platform_device("dev")
    platform_driver_register(platform_driver(probe=probe, remove=remove, driver={"name": "dev"}))
