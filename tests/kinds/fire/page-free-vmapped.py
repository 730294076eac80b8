from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.vmalloc import PAGE_KERNEL, VM_MAP, vmap, vunmap


def program(k):
    page = alloc_page(GFP_KERNEL)
    v = vmap([page], 1, VM_MAP, PAGE_KERNEL)
    __free_page(page)  # here
    vunmap(v)
