from kmock.linux.gfp import GFP_ATOMIC, GFP_KERNEL, __free_page, alloc_page


def good(k):
    __free_page(alloc_page(GFP_KERNEL))
    with k.hardirq():
        __free_page(alloc_page(GFP_ATOMIC))
