from kmock.linux.memblock import memblock_alloc
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def good(k):
    with k.early_boot():
        memblock_alloc(64, 64)
    kfree(kmalloc(64, GFP_KERNEL))
