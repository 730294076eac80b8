from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import kmap_atomic, kunmap_atomic


def program(k):
    page = alloc_page(GFP_KERNEL)
    window = kmap_atomic(page)
    __free_page(alloc_page(GFP_KERNEL))  # here
    kunmap_atomic(window)
    __free_page(page)
