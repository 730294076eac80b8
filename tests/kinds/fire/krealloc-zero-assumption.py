from kmock.linux.slab import __GFP_ZERO, GFP_KERNEL, kfree, kmalloc, krealloc


def program(k):
    p = kmalloc(40, GFP_KERNEL)
    p = krealloc(p, 60, GFP_KERNEL | __GFP_ZERO)  # here
    kfree(p)
