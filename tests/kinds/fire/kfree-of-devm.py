from kmock.linux.device import devm_kmalloc
from kmock.linux.slab import GFP_KERNEL, kfree


def program(k):
    dev = k.device("dev")
    p = devm_kmalloc(dev, 64, GFP_KERNEL)
    kfree(p)  # here
