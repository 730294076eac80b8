from kmock.linux.gfp import GFP_KERNEL, __get_free_pages, free_pages


def good(k):
    both = __get_free_pages(GFP_KERNEL, 1)
    both[4096] = 1
    free_pages(both, 1)
