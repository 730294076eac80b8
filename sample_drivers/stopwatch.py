"""stopwatch: a device with registers and an interrupt.

The C idiom: claim the range, map it, look whether the device is there (a bus that nobody answers on reads as zeros or
as all ones), take the interrupt line, and only then let users in; on the way out the same backwards, the device silenced
first. Registers are touched with ``readl`` and ``writel`` only. The handler clears what the device says it wants
(write one to clear); an interrupt that is not the device's is nobody's business here.
"""

from kmock.linux.errno import EBUSY, EFAULT, EINVAL, ENODEV, ENOMEM, ENOTTY
from kmock.linux.fs import file_operations
from kmock.linux.interrupt import IRQ_HANDLED, IRQ_NONE, free_irq, request_irq
from kmock.linux.io import ioremap, iounmap, readl, writel
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.types import Ptr
from kmock.linux.uaccess import put_user
from sample_drivers.stopwatch_hw import (
    BASE,
    COUNT,
    CTRL,
    CTRL_RUN,
    ID,
    ID_VALUE,
    INT_MATCH,
    INT_STATUS,
    IRQ,
    MATCH,
    SIZE,
)

START = 1
MATCHES = 2

MODULE_LICENSE("GPL")

regs = None
matches = 0


def stopwatch_interrupt(irq, dev_id):
    global matches
    status = readl(regs + INT_STATUS)
    if not status & INT_MATCH:
        return IRQ_NONE
    writel(status, regs + INT_STATUS)
    matches += 1
    return IRQ_HANDLED


def stopwatch_read(filp, buf, count, f_pos):
    if count < 4:
        return -EINVAL
    now = readl(regs + COUNT)
    return -EFAULT if put_user(now, Ptr(buf).u32) else 4


def stopwatch_ioctl(filp, cmd, arg):
    if cmd == MATCHES:
        return matches
    if cmd != START:
        return -ENOTTY
    writel(arg, regs + MATCH)
    writel(CTRL_RUN, regs + CTRL)
    return 0


stopwatch = miscdevice(
    name="stopwatch",
    fops=file_operations(owner=THIS_MODULE, read=stopwatch_read, unlocked_ioctl=stopwatch_ioctl),
)


def stopwatch_map():
    global regs
    if not request_mem_region(BASE, SIZE, "stopwatch"):
        return -EBUSY
    regs = ioremap(BASE, SIZE)
    if not regs:
        release_mem_region(BASE, SIZE)
        return -ENOMEM
    if readl(regs + ID) != ID_VALUE:
        stopwatch_unmap()
        return -ENODEV
    return 0


def stopwatch_unmap():
    iounmap(regs)
    release_mem_region(BASE, SIZE)


def stopwatch_init():
    err = stopwatch_map()
    if err:
        return err
    err = request_irq(IRQ, stopwatch_interrupt, 0, "stopwatch", stopwatch)
    if err:
        stopwatch_unmap()
        return err
    err = misc_register(stopwatch)
    if err:
        free_irq(IRQ, stopwatch)
        stopwatch_unmap()
    return err


def stopwatch_exit():
    misc_deregister(stopwatch)
    writel(0, regs + CTRL)
    free_irq(IRQ, stopwatch)
    stopwatch_unmap()


module_init(stopwatch_init)
module_exit(stopwatch_exit)
