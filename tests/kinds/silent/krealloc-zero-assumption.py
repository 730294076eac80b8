from kmock.linux.slab import __GFP_ZERO, GFP_KERNEL, kfree, krealloc, kzalloc


def program(k):
    p = kzalloc(40, GFP_KERNEL)
    p = krealloc(p, 60, GFP_KERNEL | __GFP_ZERO)
    kfree(p)
