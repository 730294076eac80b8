from kmock.linux.gfp import __GFP_COMP, GFP_KERNEL, __free_pages, alloc_pages
from kmock.linux.mm import compound_order


def good(k):
    page = alloc_pages(GFP_KERNEL | __GFP_COMP, 2)
    __free_pages(page, compound_order(page))
