from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc, krealloc


def program(k):
    p = kmalloc(32, GFP_KERNEL)
    q = krealloc(p, 300, GFP_KERNEL)
    p[0] = 1  # here
    kfree(q)
