import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import vm_insert_page, vma_lookup
from kmock.linux.mmap_lock import mmap_read_lock, mmap_read_unlock

page = []


def dev_mmap(filp, vma):
    return 0


def program(k):
    page[:] = [alloc_page(GFP_KERNEL | __GFP_ZERO)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    address = p.mmap(fd, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED)
    mmap_read_lock(p.mm)
    vma = vma_lookup(p.mm, address)
    assert vm_insert_page(vma, address, page[0]) == 0  # here
    mmap_read_unlock(p.mm)
    p.exit()
    misc_deregister(misc)
    __free_page(page[0])
