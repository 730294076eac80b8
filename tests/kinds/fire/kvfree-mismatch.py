from kmock.linux.slab import GFP_KERNEL, kfree, kvmalloc


def program(k):
    p = kvmalloc(100, GFP_KERNEL)
    kfree(p)  # here
