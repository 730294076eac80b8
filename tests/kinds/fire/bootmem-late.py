from kmock.linux.bootmem import alloc_bootmem
from kmock.linux.slab import kfree


def program(k):
    table = alloc_bootmem(64)  # here
    kfree(table)
