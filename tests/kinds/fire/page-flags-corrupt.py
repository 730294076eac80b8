from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page
from kmock.linux.mm import SetPageReserved


def program(k):
    page = alloc_page(GFP_KERNEL)
    SetPageReserved(page)
    __free_page(page)  # here
