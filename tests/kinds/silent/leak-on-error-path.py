from kmock.linux.errno import EBUSY, ENOMEM
from kmock.linux.fs import file_operations, register_chrdev
from kmock.linux.module import MODULE_LICENSE, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MODULE_LICENSE("GPL")
tables = []


def dev_init():
    table = kmalloc(64, GFP_KERNEL)
    if not table:
        return -ENOMEM
    tables.append(table)
    err = register_chrdev(10, "dev", file_operations())
    if err < 0:
        kfree(table)
    return err


module_init(dev_init)


def good(k):
    try:
        k.insmod(__file__)
    except OSError as error:
        assert error.errno == EBUSY
