from kmock.linux.device import devm_kzalloc
from kmock.linux.interrupt import IRQ_HANDLED, devm_request_irq
from kmock.linux.platform_device import platform_driver, platform_driver_register
from kmock.linux.slab import GFP_KERNEL


def handler(irq, state):
    state.u32[0] += 1
    return IRQ_HANDLED


def probe(pdev):
    state = devm_kzalloc(pdev.dev, 64, GFP_KERNEL)
    return devm_request_irq(pdev.dev, 9, handler, 0, "dev", state)


def program(k):
    k.platform_device("dev")
    platform_driver_register(platform_driver(probe=probe, driver={"name": "dev"}))
    k.raise_irq(9)
