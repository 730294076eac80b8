from kmock.linux.gfp import __GFP_COMP, GFP_KERNEL, alloc_pages
from kmock.linux.mm import split_page


def program(k):
    page = alloc_pages(GFP_KERNEL | __GFP_COMP, 1)
    split_page(page, 1)  # here
