from kmock.linux.gfp import GFP_KERNEL, alloc_pages_exact, free_pages_exact


def program(k):
    ring = alloc_pages_exact(3 * 4096, GFP_KERNEL)
    free_pages_exact(ring, 2 * 4096)  # here
