from kmock.linux.slab import GFP_ATOMIC, kfree, kmalloc


def good(k):
    with k.hardirq():
        kfree(kmalloc(64, GFP_ATOMIC))
