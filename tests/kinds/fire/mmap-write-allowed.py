import mmap

from kmock.linux.errno import EPERM
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import VM_WRITE, vm_insert_page

page = []


def dev_mmap(filp, vma):
    if vma.vm_flags & VM_WRITE:  # here
        return -EPERM
    return vm_insert_page(vma, vma.vm_start, page[0])


def program(k):
    page[:] = [alloc_page(GFP_KERNEL | __GFP_ZERO)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    address = p.mmap(fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    p.mprotect(address, 4096, mmap.PROT_READ | mmap.PROT_WRITE)
    p.exit()
    misc_deregister(misc)
    __free_page(page[0])
