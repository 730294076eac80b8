from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, ksize


def program(k):
    p = kmalloc(100, GFP_KERNEL)
    n = ksize(p)  # here
    p[n - 1] = 1
    kfree(p)
