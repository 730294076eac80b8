from kmock.linux.fs import register_chrdev_region, unregister_chrdev_region
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")
DEV = 42 << 20


def dev_init():
    return register_chrdev_region(DEV, 4, "dev")


def dev_exit():
    unregister_chrdev_region(DEV, 4)


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    k.rmmod(k.insmod(__file__))
    k.rmmod(k.insmod(__file__))
