"""Registers read as if they were memory.

Wrong: ``regs`` is what ``ioremap()`` returned, and is dereferenced. On x86 that happens to work.
Right: ``readl(regs + COUNT)``.
Expected: ``mmio-plain-access``, at the load in ``lap_read``.
"""

from kmock.linux.errno import EBUSY, EFAULT, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.io import ioremap, iounmap
from kmock.linux.ioport import release_mem_region, request_mem_region
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.types import Ptr
from kmock.linux.uaccess import put_user

BASE = 0xF000_0000
SIZE = 0x1000
COUNT = 0x08

MODULE_LICENSE("GPL")

regs = None


def lap_read(filp, buf, count, f_pos):
    now = regs.u32[COUNT // 4]
    return -EFAULT if put_user(now, Ptr(buf).u32) else 4


lap = miscdevice(name="lap", fops=file_operations(owner=THIS_MODULE, read=lap_read))


def lap_init():
    global regs
    if not request_mem_region(BASE, SIZE, "lap"):
        return -EBUSY
    regs = ioremap(BASE, SIZE)
    if not regs:
        release_mem_region(BASE, SIZE)
        return -ENOMEM
    err = misc_register(lap)
    if err:
        lap_unmap()
    return err


def lap_unmap():
    iounmap(regs)
    release_mem_region(BASE, SIZE)


def lap_exit():
    misc_deregister(lap)
    lap_unmap()


module_init(lap_init)
module_exit(lap_exit)
