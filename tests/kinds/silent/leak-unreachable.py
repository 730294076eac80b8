from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    kfree(p)
