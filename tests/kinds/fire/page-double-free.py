from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_page


def program(k):
    page = alloc_page(GFP_KERNEL)
    __free_page(page)
    __free_page(page)  # here
