import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import page_to_pfn, remap_pfn_range

page = []


def dev_mmap(filp, vma):
    return remap_pfn_range(vma, vma.vm_start, page_to_pfn(page[0]), 4096, vma.vm_page_prot)


def program(k):
    page[:] = [alloc_page(GFP_KERNEL | __GFP_ZERO)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    address = p.mmap(fd, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED)
    __free_page(page[0])  # here
    p.store(address, b"whose is this now?")
    p.exit()
    misc_deregister(misc)
