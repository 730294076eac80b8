from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MODULE_LICENSE("GPL")


def dev_init():
    return 0


def dev_exit():
    report = kmalloc(256, GFP_KERNEL)  # here
    kfree(report)


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
