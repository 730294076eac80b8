from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    q = p + 8
    q[0] = 1
    kfree(q - 8)
