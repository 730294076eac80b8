from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import kmap_local_page, kunmap_local


def program(k):
    page = alloc_page(GFP_KERNEL)
    kmap_local_page(page)
    kunmap_local(page)  # here
    __free_page(page)
