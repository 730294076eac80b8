from kmock.linux.fs import register_chrdev_region
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")
DEV = 42 << 20


def dev_init():  # here
    return register_chrdev_region(DEV, 4, "dev")


def dev_exit():
    """Forget to unregister the region."""


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
    try:
        k.insmod(__file__)
    except OSError as error:
        assert error.strerror
