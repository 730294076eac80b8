from kmock.linux.device import devm_kzalloc
from kmock.linux.platform_device import platform_driver, platform_driver_register
from kmock.linux.slab import GFP_KERNEL


def probe(pdev):
    return 0 if devm_kzalloc(pdev.dev, 64, GFP_KERNEL) else -12


def program(k):
    k.platform_device("dev")
    platform_driver_register(platform_driver(probe=probe, driver={"name": "dev"}))
