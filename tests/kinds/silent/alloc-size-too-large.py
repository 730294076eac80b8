from kmock.linux.slab import GFP_KERNEL, KMALLOC_MAX_SIZE, kfree, kmalloc


def program(k):
    kfree(kmalloc(KMALLOC_MAX_SIZE, GFP_KERNEL))
