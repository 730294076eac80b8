import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_pages, alloc_pages
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import vm_insert_page

page = []


def dev_mmap(filp, vma):
    return vm_insert_page(vma, vma.vm_start, page[0] + 1)  # here


def program(k):
    page[:] = [alloc_pages(GFP_KERNEL | __GFP_ZERO, 1)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    try:
        p.mmap(fd, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED)
    except OSError as error:
        assert error.errno == 22
    p.exit()
    misc_deregister(misc)
    __free_pages(page[0], 1)
