from kmock.linux.device import devm_kfree, devm_kmalloc
from kmock.linux.slab import GFP_KERNEL


def program(k):
    dev = k.device("dev")
    p = devm_kmalloc(dev, 64, GFP_KERNEL)
    p[0:64] = bytes(64)
    devm_kfree(dev, p)
    devm_kmalloc(dev, 64, GFP_KERNEL)
