from kmock.linux.gfp import GFP_KERNEL, __free_pages, alloc_pages


def good(k):
    __free_pages(alloc_pages(GFP_KERNEL, 2), 2)
