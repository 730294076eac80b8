from kmock.linux.device import devm_kfree, devm_kmalloc
from kmock.linux.slab import GFP_KERNEL


def program(k):
    mine, other = k.device("mine"), k.device("other")
    p = devm_kmalloc(mine, 64, GFP_KERNEL)
    devm_kfree(other, p)  # here
