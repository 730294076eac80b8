from kmock.linux.gfp import __GFP_HIGH, GFP_KERNEL, __free_page, alloc_page


def good(k):
    __free_page(alloc_page(GFP_KERNEL | __GFP_HIGH))
