from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.slab import kvmalloc_array
from kmock.linux.vmalloc import PAGE_KERNEL, VM_MAP, VM_MAP_PUT_PAGES, vfree, vmap


def good(k):
    pages = kvmalloc_array(1, 8, GFP_KERNEL)
    pages.u64[0] = alloc_page(GFP_KERNEL).address
    v = vmap(pages, 1, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL)
    vfree(v)
