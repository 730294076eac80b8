from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.mm import SetPagePrivate, set_page_private


def program(k):
    page = alloc_page(GFP_KERNEL)
    set_page_private(page, 1)
    SetPagePrivate(page)
    __free_page(page)  # here
