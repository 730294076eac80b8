from kmock.linux.device import devm_kfree
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    dev = k.device("dev")
    p = kmalloc(64, GFP_KERNEL)
    devm_kfree(dev, p)  # here
    kfree(p)
