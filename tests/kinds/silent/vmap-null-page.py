from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.vmalloc import PAGE_KERNEL, VM_MAP, vmap, vunmap


def good(k):
    pages = [alloc_page(GFP_KERNEL), None]
    vunmap(vmap(pages, 1, VM_MAP, PAGE_KERNEL))
    __free_page(pages[0])
