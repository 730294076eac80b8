from kmock.linux.gfp import GFP_KERNEL, __free_page, alloc_pages


def program(k):
    page = alloc_pages(GFP_KERNEL, 2)
    __free_page(page)  # here
