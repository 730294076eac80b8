from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc

BOOT = {"uninit_loads": True}


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    if p[0]:  # here
        p[1] = 1
    kfree(p)
