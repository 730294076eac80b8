from kmock.linux.errno import ENOMEM
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MODULE_LICENSE("GPL")
table = ring = None


def setup_ring():
    global ring
    ring = kmalloc(256, GFP_KERNEL)
    return 0 if ring else -ENOMEM


def dev_init():
    global table
    table = kmalloc(64, GFP_KERNEL)
    if not table:
        return -ENOMEM
    error = setup_ring()
    if error:
        kfree(table)
    return error


def dev_exit():
    kfree(ring)
    kfree(table)


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.faults.fail_nth(2)
    try:
        k.insmod(__file__)
    except OSError as error:
        assert error.errno == ENOMEM
