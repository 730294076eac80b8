"""Data freed by hand while a managed interrupt handler still works on it.

Wrong: ``meter_remove`` frees the readings; the handler goes only afterwards, when the device gives back what it owns.
Right: ``devm_kzalloc()``, so that both go by themselves, in reverse order; or ``devm_free_irq()`` before ``kfree()``.
Expected: ``devm-order-hazard``, at the ``kfree`` in ``meter_remove``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.interrupt import IRQ_HANDLED, devm_request_irq
from kmock.linux.module import MODULE_LICENSE
from kmock.linux.platform_device import (
    module_platform_driver,
    platform_driver,
    platform_get_drvdata,
    platform_set_drvdata,
)
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, sizeof, u32

IRQ = 9

MODULE_LICENSE("GPL")


class Readings(Struct):
    count: u32
    last: u32


def meter_interrupt(irq, readings):
    readings.count += 1
    return IRQ_HANDLED


def meter_probe(pdev):
    readings = Readings.at(kzalloc(sizeof(Readings), GFP_KERNEL))
    if not readings:
        return -ENOMEM
    platform_set_drvdata(pdev, readings)
    err = devm_request_irq(pdev.dev, IRQ, meter_interrupt, 0, "meter", readings)
    if err:
        kfree(readings)
    return err


def meter_remove(pdev):
    kfree(platform_get_drvdata(pdev))
    return 0


meter_driver = platform_driver(probe=meter_probe, remove=meter_remove, driver={"name": "meter"})
module_platform_driver(meter_driver)
