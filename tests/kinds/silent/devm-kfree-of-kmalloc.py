from kmock.linux.device import devm_kfree, devm_kmalloc
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc


def program(k):
    dev = k.device("dev")
    p = kmalloc(64, GFP_KERNEL)
    q = devm_kmalloc(dev, 64, GFP_KERNEL)
    devm_kfree(dev, q)
    devm_kfree(dev, None)
    kfree(p)
