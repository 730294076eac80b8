from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, ksize


def program(k):
    p = kmalloc(128, GFP_KERNEL)
    n = ksize(p)
    p[n - 1] = 1
    kfree(p)
