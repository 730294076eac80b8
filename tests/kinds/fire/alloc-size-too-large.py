from kmock.linux.slab import GFP_KERNEL, KMALLOC_MAX_SIZE, kfree, kmalloc


def program(k):
    kfree(kmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL))  # here
