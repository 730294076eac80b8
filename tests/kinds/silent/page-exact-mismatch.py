from kmock.linux.gfp import GFP_KERNEL, alloc_pages_exact, free_pages_exact


def good(k):
    buf = alloc_pages_exact(3 * 4096, GFP_KERNEL)
    free_pages_exact(buf, 3 * 4096)
