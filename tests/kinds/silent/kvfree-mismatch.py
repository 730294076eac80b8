from kmock.linux.slab import GFP_KERNEL, kvfree, kvmalloc


def program(k):
    p = kvmalloc(100, GFP_KERNEL)
    kvfree(p)
