from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.string import strcpy, strscpy


def program(k):
    p = kmalloc(8, GFP_KERNEL)
    strscpy(p, "eightchr", 8)
    strcpy(p, "seventy")
    kfree(p)
