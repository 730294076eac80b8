from kmock.linux.errno import ENOMEM
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.string import memset


def program(k):
    table = kmalloc(64, GFP_KERNEL)
    if not table:
        return -ENOMEM
    memset(table, 0, 64)  # here
    kfree(table)
    return 0
