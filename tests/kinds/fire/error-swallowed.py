from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, module_exit, module_init

MODULE_LICENSE("GPL")
misc = miscdevice(name="dev", minor=130, fops=file_operations())


def dev_init():
    misc_register(misc)  # here
    return 0


def dev_exit():
    pass


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    misc_register(miscdevice(name="other", minor=130))
    k.insmod(__file__)
