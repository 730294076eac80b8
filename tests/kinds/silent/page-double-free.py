from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.mm import get_page


def good(k):
    page = alloc_page(GFP_KERNEL)
    get_page(page)
    __free_page(page)
    __free_page(page)
