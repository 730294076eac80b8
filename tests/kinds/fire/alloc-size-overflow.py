from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    n = (1 << 60) + 1
    kfree(kmalloc(n * 16, GFP_KERNEL))  # here
