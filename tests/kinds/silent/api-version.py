from kmock.linux.slab import GFP_KERNEL, kcalloc, kfree

BOOT = {"version": "2.6.10"}


def good(k):
    kfree(kcalloc(2, 8, GFP_KERNEL))
