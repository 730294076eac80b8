from kmock.linux.slab import GFP_ATOMIC, kfree, kmalloc


def program(k):
    with k.nmi():
        p = kmalloc(64, GFP_ATOMIC)  # here
    kfree(p)
