from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    n = 0
    if n:
        kfree(kmalloc(n, GFP_KERNEL))
