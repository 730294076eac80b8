from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.string import strcpy


def program(k):
    p = kmalloc(8, GFP_KERNEL)
    strcpy(p, "eightchr")  # here
    kfree(p)
