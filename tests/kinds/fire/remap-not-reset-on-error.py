import mmap

from kmock.linux.fs import file_operations
from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import page_to_pfn, remap_pfn_range

page = []


def dev_mmap(filp, vma):
    addr = vma.vm_start
    for p in page:
        remap_pfn_range(vma, addr, page_to_pfn(p), 4096, vma.vm_page_prot)  # here
        addr += 4096
    return 0


def program(k):
    page[:] = [alloc_page(GFP_KERNEL | __GFP_ZERO) for _ in range(2)]
    misc = miscdevice(name="dev", fops=file_operations(mmap=dev_mmap))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    k.faults.fail_page_alloc(times=1, space=0, ignore_gfp_wait=False, min_order=0, interval=1)
    p.mmap(fd, 8192, mmap.PROT_READ, mmap.MAP_SHARED | 0x10, addr=0x201F_F000)
    p.exit()
    misc_deregister(misc)
    __free_page(page[0])
    __free_page(page[1])
