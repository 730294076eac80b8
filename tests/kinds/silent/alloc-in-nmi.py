from kmock.linux.slab import GFP_ATOMIC, kfree, kmalloc


def good(k):
    p = kmalloc(64, GFP_ATOMIC)
    with k.nmi():
        p[0] = 1
    kfree(p)
