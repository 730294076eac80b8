from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc

BOOT = {"kasan": False}  # no quarantine


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    kfree(p)
    q = kmalloc(64, GFP_KERNEL)  # has the memory that was just freed
    p[0] = 1  # here
    kfree(q)
