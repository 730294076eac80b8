from kmock.linux.gfp import GFP_HIGHUSER, __free_page, alloc_page
from kmock.linux.mm import page_address

BOOT = {"machine": "highmem"}


def program(k):
    page = alloc_page(GFP_HIGHUSER)
    assert not page_address(page)  # here
    __free_page(page)
