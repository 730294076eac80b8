from kmock.linux.gfp import GFP_KERNEL, __free_pages, alloc_pages
from kmock.linux.mm import page_address
from kmock.linux.uaccess import copy_to_user


def program(k):
    pages = alloc_pages(GFP_KERNEL, 1)
    left = copy_to_user(k.user().buffer(8192), page_address(pages), 8192)  # here
    assert left == 0
    __free_pages(pages, 1)
