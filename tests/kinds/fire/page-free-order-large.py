from kmock.linux.gfp import GFP_KERNEL, __free_page, __free_pages, alloc_page


def program(k):
    pages = [alloc_page(GFP_KERNEL) for _ in range(2)]
    __free_pages(pages[0], 1)  # here
    __free_page(pages[1])
