from kmock.linux.errno import EBUSY
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")
misc = miscdevice(name="dev", minor=130, fops=file_operations())


def dev_init():
    return misc_register(misc)


def dev_exit():
    misc_deregister(misc)


module_init(dev_init)
module_exit(dev_exit)


def good(k):
    other = miscdevice(name="other", minor=130)
    misc_register(other)
    try:
        k.insmod(__file__)
    except OSError as error:
        assert error.errno == EBUSY
    misc_deregister(other)
