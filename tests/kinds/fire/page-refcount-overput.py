from kmock.linux.gfp import GFP_KERNEL, alloc_page
from kmock.linux.mm import put_page


def program(k):
    page = alloc_page(GFP_KERNEL)
    put_page(page)
    put_page(page)  # here
