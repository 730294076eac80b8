from kmock.linux.gfp import __GFP_COMP, GFP_KERNEL, alloc_pages
from kmock.linux.mm import page_address
from kmock.linux.slab import kfree


def program(k):
    page = alloc_pages(GFP_KERNEL | __GFP_COMP, 2)
    kfree(page_address(page))  # here
