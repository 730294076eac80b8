import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import GFP_KERNEL, free_page, get_zeroed_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import virt_to_page, vm_insert_page

buffer = []


def dev_mmap(filp, vma):
    return vm_insert_page(vma, vma.vm_start, virt_to_page(buffer[0]))


def good(k):
    buffer[:] = [get_zeroed_page(GFP_KERNEL)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    p.mmap(fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    p.exit()
    misc_deregister(misc)
    free_page(buffer[0])
