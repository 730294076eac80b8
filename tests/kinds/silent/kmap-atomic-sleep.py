from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import kmap_local_page, kunmap_local


def good(k):
    page = alloc_page(GFP_KERNEL)
    window = kmap_local_page(page)
    __free_page(alloc_page(GFP_KERNEL))
    kunmap_local(window)
    __free_page(page)
