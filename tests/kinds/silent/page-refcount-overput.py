from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.mm import get_page, put_page


def good(k):
    page = alloc_page(GFP_KERNEL)
    get_page(page)
    put_page(page)
    put_page(page)
