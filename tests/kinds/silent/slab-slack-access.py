from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc


def program(k):
    p = kmalloc(50, GFP_KERNEL)
    p[49] = 1
    kfree(p)
