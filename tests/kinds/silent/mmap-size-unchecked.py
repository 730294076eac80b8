import mmap

from kmock.linux.errno import EINVAL
from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import page_to_pfn, remap_pfn_range

page = []


def dev_mmap(filp, vma):
    size = vma.vm_end - vma.vm_start
    if vma.vm_pgoff or size > 4096:
        return -EINVAL
    return remap_pfn_range(vma, vma.vm_start, page_to_pfn(page[0]), size, vma.vm_page_prot)


def good(k):
    page[:] = [alloc_page(GFP_KERNEL | __GFP_ZERO)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    p.mmap(fd, 4096, mmap.PROT_READ, mmap.MAP_SHARED)
    try:
        p.mmap(fd, 8192, mmap.PROT_READ, mmap.MAP_SHARED)
    except OSError as error:
        assert error.errno == EINVAL
    p.exit()
    misc_deregister(misc)
    __free_page(page[0])
