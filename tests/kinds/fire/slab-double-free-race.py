from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

BOOT = {"cpus": 2}


def program(k):
    p = kmalloc(64, GFP_KERNEL)
    with k.on_cpu(1):
        kfree(p)
    kfree(p)  # here
