from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc


def program(k):
    neighbour = kmalloc(64, GFP_KERNEL)
    line = kmalloc(64, GFP_KERNEL)
    last = 0
    line.u32[last - 1] = 1  # here
    kfree(line)
    kfree(neighbour)
