from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    length = 4 - 8
    if length > 0:
        kfree(kmalloc(length, GFP_KERNEL))
