from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.mm import ClearPagePrivate, SetPagePrivate, set_page_private


def good(k):
    page = alloc_page(GFP_KERNEL)
    set_page_private(page, 1)
    SetPagePrivate(page)
    ClearPagePrivate(page)
    set_page_private(page, 0)
    __free_page(page)
