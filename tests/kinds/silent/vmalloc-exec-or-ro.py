from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_page, alloc_page
from kmock.linux.vmalloc import PAGE_KERNEL_RO, VM_MAP, vmap, vunmap


def good(k):
    page = alloc_page(GFP_KERNEL | __GFP_ZERO)
    v = vmap([page], 1, VM_MAP, PAGE_KERNEL_RO)
    v[0]
    vunmap(v)
    __free_page(page)
