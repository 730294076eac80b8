from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.vmalloc import PAGE_KERNEL_RO, VM_MAP, vmap


def program(k):
    v = vmap([alloc_page(GFP_KERNEL)], 1, VM_MAP, PAGE_KERNEL_RO)
    v[0] = 1  # here
