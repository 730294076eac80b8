from kmock.linux.gfp import __GFP_ZERO, GFP_KERNEL, __free_pages, alloc_pages
from kmock.linux.mm import page_address
from kmock.linux.uaccess import copy_to_user


def good(k):
    pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, 1)
    left = copy_to_user(k.user().buffer(8192), page_address(pages), 8192)
    assert left == 0
    __free_pages(pages, 1)
