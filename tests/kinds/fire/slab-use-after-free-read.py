from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    p[0] = 1
    kfree(p)
    p[0]  # here
