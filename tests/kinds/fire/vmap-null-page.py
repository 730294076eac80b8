from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.vmalloc import PAGE_KERNEL, VM_MAP, vmap


def program(k):
    pages = [alloc_page(GFP_KERNEL), None]
    vmap(pages, 2, VM_MAP, PAGE_KERNEL)  # here
    __free_page(pages[0])
