from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_pages
from kmock.linux.mm import split_page


def good(k):
    page = alloc_pages(GFP_KERNEL, 2)
    split_page(page, 2)
    for i in range(4):
        __free_page(page + i)
