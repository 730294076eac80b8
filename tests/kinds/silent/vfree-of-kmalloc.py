from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    p = kmalloc(4096, GFP_KERNEL)
    kfree(p)
