import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import page_to_pfn, remap_pfn_range

page = []


def dev_mmap(filp, vma):
    err = remap_pfn_range(vma, vma.vm_start, page_to_pfn(page[0]), 4096, vma.vm_page_prot)
    return err or remap_pfn_range(vma, vma.vm_start + 4096, page_to_pfn(page[1]), 4096, vma.vm_page_prot)


def good(k):
    page[:] = [alloc_page(GFP_KERNEL | __GFP_ZERO) for _ in range(2)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    p.mmap(fd, 8192, mmap.PROT_READ, mmap.MAP_SHARED)
    p.exit()
    misc_deregister(misc)
    __free_page(page[0])
    __free_page(page[1])
