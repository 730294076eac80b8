from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kmalloc


def program(k):
    kmalloc(64, GFP_KERNEL)  # here
