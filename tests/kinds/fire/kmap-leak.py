from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import kmap


def program(k):
    page = alloc_page(GFP_KERNEL)
    kmap(page)  # here
    __free_page(page)
