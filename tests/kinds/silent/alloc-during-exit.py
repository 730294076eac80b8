from kmock.linux.errno import ENOMEM
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MODULE_LICENSE("GPL")
report = None


def dev_init():
    global report
    report = kmalloc(256, GFP_KERNEL)
    return 0 if report else -ENOMEM


def dev_exit():
    kfree(report)


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
