from kmock.linux.gfp import __GFP_NOFAIL, GFP_KERNEL, __free_pages, alloc_pages


def good(k):
    __free_pages(alloc_pages(GFP_KERNEL | __GFP_NOFAIL, 1), 1)
