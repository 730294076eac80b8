from kmock.linux.gfp import GFP_HIGHUSER, __free_page, alloc_page
from kmock.linux.highmem import kmap, kunmap
from kmock.linux.mm import page_address

BOOT = {"machine": "highmem"}


def good(k):
    page = alloc_page(GFP_HIGHUSER)
    assert kmap(page) == page_address(page)
    kunmap(page)
    __free_page(page)
