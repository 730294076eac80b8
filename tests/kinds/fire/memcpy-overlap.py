from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.string import memcpy


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    p[0:64] = bytes(64)
    memcpy(p, p + 8, 32)  # here
    kfree(p)
