from kmock.linux.gfp import GFP_KERNEL, alloc_pages


def program(k):
    alloc_pages(GFP_KERNEL, 2)  # here
