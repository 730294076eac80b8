from kmock.linux.device import devm_kzalloc
from kmock.linux.platform_device import platform_driver, platform_driver_register
from kmock.linux.slab import GFP_KERNEL


def program(k):
    pdev = k.platform_device("dev")
    devm_kzalloc(pdev.dev, 64, GFP_KERNEL)  # here
    platform_driver_register(platform_driver(probe=lambda pdev: 0, driver={"name": "dev"}))
