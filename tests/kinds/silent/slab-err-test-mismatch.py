from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc


def program(k):
    k.faults.fail_nth(1)
    p = kmalloc(64, GFP_KERNEL)
    if not p:
        return
    kfree(p)
