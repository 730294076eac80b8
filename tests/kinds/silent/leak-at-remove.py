from kmock.linux.errno import ENOMEM
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MODULE_LICENSE("GPL")
tables = []


def dev_init():
    table = kmalloc(64, GFP_KERNEL)
    tables.append(table)
    return 0 if table else -ENOMEM


def dev_exit():
    kfree(tables.pop())


module_init(dev_init)
module_exit(dev_exit)


def good(k):
    k.rmmod(k.insmod(__file__))
