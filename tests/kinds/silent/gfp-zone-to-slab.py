from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    kfree(kmalloc(64, GFP_KERNEL))
