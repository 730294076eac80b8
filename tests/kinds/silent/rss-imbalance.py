import mmap

from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import MM_FILEPAGES, dec_mm_counter, inc_mm_counter, vm_operations_struct


def dev_close(vma):
    dec_mm_counter(vma.vm_mm, MM_FILEPAGES)


def dev_mmap(filp, vma):
    # It maps registers by a table of its own, and counts them as memory of the process.
    inc_mm_counter(vma.vm_mm, MM_FILEPAGES)
    vma.vm_ops = vm_operations_struct(close=dev_close)
    return 0


def program(k):
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    p.mmap(p.open("/dev/dev"), 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    p.exit()
    misc_deregister(misc)
