from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    kfree(p)
    kfree(p)  # here
