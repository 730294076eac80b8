import mmap

from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import remap_pfn_range

BAR = 0xF000_0000


def dev_mmap(filp, vma):
    return remap_pfn_range(vma, vma.vm_start, BAR, 4096, vma.vm_page_prot)  # here


def program(k):
    k.mmio(BAR, 4096)
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    p.mmap(fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    p.exit()
    misc_deregister(misc)
