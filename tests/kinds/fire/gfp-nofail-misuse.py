from kmock.linux.gfp import __GFP_NOFAIL, GFP_KERNEL, __free_pages, alloc_pages


def program(k):
    __free_pages(alloc_pages(GFP_KERNEL | __GFP_NOFAIL, 2), 2)  # here
