from kmock.linux.gfp import GFP_KERNEL, __get_free_page
from kmock.linux.slab import kfree


def program(k):
    p = __get_free_page(GFP_KERNEL)
    kfree(p)  # here
