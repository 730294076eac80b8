from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.io import iounmap
from kmock.linux.slab import kfree, kmalloc


def program(k):
    buf = kmalloc(100, GFP_KERNEL)
    iounmap(buf)  # here
    kfree(buf)
