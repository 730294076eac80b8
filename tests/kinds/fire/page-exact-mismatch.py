from kmock.linux.gfp import GFP_KERNEL, alloc_pages_exact, free_pages


def program(k):
    buf = alloc_pages_exact(3 * 4096, GFP_KERNEL)
    free_pages(buf, 2)  # here
