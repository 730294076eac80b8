from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import kmap, kunmap


def good(k):
    page = alloc_page(GFP_KERNEL)
    kmap(page)
    kunmap(page)
    __free_page(page)
