from kmock.linux.module import MODULE_LICENSE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MODULE_LICENSE("GPL")
state = None


def dev_init():  # here
    global state
    state = kmalloc(64, GFP_KERNEL)
    return 0 if state else -1


def dev_exit():
    kfree(state)


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.faults.fail_nth(1)
    try:
        k.insmod(__file__)
    except OSError as error:
        assert error.strerror
