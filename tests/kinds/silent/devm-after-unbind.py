from kmock.linux.device import devm_kzalloc
from kmock.linux.platform_device import platform_driver, platform_driver_register, platform_driver_unregister
from kmock.linux.slab import GFP_KERNEL

state = []


def probe(pdev):
    state.append(devm_kzalloc(pdev.dev, 64, GFP_KERNEL))
    return 0


def remove(pdev):
    state.pop()[0] = 1


def program(k):
    k.platform_device("dev")
    driver = platform_driver(probe=probe, remove=remove, driver={"name": "dev"})
    platform_driver_register(driver)
    platform_driver_unregister(driver)
