import mmap

from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import vm_operations_struct


class Device:
    vmas = 0


dev = Device()


def dev_vma_close(vma):
    dev.vmas -= 1  # here


def dev_mmap(filp, vma):
    vma.vm_ops = vm_operations_struct(close=dev_vma_close)
    dev.vmas += 1
    return 0


def program(k):
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    p.mmap(p.open("/dev/dev"), 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    p.fork().exit()
    p.exit()
    misc_deregister(misc)
