from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.vmalloc import vfree


def program(k):
    p = kmalloc(4096, GFP_KERNEL)
    vfree(p)  # here
    kfree(p)
