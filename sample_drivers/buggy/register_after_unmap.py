"""A device is switched off after its registers were unmapped.

Wrong: ``meter_exit`` unmaps first and writes the control register then: the mapping is gone.
Right: switch the device off, then ``iounmap``, then ``release_mem_region``.
Expected: ``mmio-after-unmap``, at the ``writel`` in ``meter_exit``.
"""

from kmock.linux.errno import EBUSY, ENOMEM
from kmock.linux.io import ioremap, iounmap, writel
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

BASE = 0xF000_0000
SIZE = 0x1000
CTRL = 0x04
ON = 1

MODULE_LICENSE("GPL")

regs = None


def meter_init():
    global regs
    if not request_mem_region(BASE, SIZE, "meter"):
        return -EBUSY
    regs = ioremap(BASE, SIZE)
    if not regs:
        release_mem_region(BASE, SIZE)
        return -ENOMEM
    writel(ON, regs + CTRL)
    return 0


def meter_exit():
    iounmap(regs)
    release_mem_region(BASE, SIZE)
    writel(0, regs + CTRL)


module_init(meter_init)
module_exit(meter_exit)
