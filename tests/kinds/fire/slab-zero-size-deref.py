from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc


def program(k):
    p = kmalloc(0, GFP_KERNEL)
    p[0] = 1  # here
    kfree(p)
