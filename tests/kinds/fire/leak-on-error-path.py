from kmock.linux.errno import EBUSY, ENOMEM
from kmock.linux.fs import file_operations, register_chrdev
from kmock.linux.module import MODULE_LICENSE, module_init
from kmock.linux.slab import GFP_KERNEL, kmalloc

MODULE_LICENSE("GPL")
tables = []


def dev_init():
    table = kmalloc(64, GFP_KERNEL)  # here
    if not table:
        return -ENOMEM
    tables.append(table)
    return register_chrdev(10, "dev", file_operations())


module_init(dev_init)


def program(k):
    try:
        k.insmod(__file__)
    except OSError as error:
        assert error.errno == EBUSY
