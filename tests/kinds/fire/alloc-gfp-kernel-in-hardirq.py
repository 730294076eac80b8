from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    with k.hardirq():
        kfree(kmalloc(64, GFP_KERNEL))  # here
