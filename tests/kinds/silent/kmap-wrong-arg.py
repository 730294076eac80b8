from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import kmap_local_page, kunmap_local


def good(k):
    page = alloc_page(GFP_KERNEL)
    kunmap_local(kmap_local_page(page) + 100)
    __free_page(page)
