from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc_array

BOOT = {"version": "2.6.10"}


def program(k):
    kfree(kmalloc_array(2, 8, GFP_KERNEL))  # here
