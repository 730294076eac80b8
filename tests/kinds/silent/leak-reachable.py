from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc


def program(k):
    k.kept = kmalloc(64, GFP_KERNEL)
    kfree(k.kept)
