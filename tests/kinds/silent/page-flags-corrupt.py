from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.mm import ClearPageReserved, SetPageReserved


def good(k):
    page = alloc_page(GFP_KERNEL)
    SetPageReserved(page)
    ClearPageReserved(page)
    __free_page(page)
