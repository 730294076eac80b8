from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_pages
from kmock.linux.mm import split_page


def good(k):
    page = alloc_pages(GFP_KERNEL, 1)
    split_page(page, 1)
    __free_page(page)
    __free_page(page + 1)
