from kmock.linux.slab import kfree
from kmock.linux.vmalloc import vmalloc


def program(k):
    p = vmalloc(10000)
    kfree(p)  # here
