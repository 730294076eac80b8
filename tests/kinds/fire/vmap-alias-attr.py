from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.vmalloc import PAGE_KERNEL, VM_MAP, pgprot_writecombine, vmap, vunmap


def program(k):
    page = alloc_page(GFP_KERNEL)
    cached = vmap([page], 1, VM_MAP, PAGE_KERNEL)
    combined = vmap([page], 1, VM_MAP, pgprot_writecombine(PAGE_KERNEL))  # here
    vunmap(combined)
    vunmap(cached)
    __free_page(page)
