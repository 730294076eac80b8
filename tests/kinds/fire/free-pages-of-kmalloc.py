from kmock.linux.gfp import GFP_KERNEL, free_page
from kmock.linux.slab import kmalloc


def program(k):
    table = kmalloc(4096, GFP_KERNEL)
    free_page(table)  # here
