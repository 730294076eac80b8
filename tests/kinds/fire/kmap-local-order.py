from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.highmem import kmap_local_page, kunmap_local


def program(k):
    pages = [alloc_page(GFP_KERNEL) for _ in range(2)]
    first, second = (kmap_local_page(page) for page in pages)
    kunmap_local(first)  # here
    kunmap_local(second)
    for page in pages:
        __free_page(page)
