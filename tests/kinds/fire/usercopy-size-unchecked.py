from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user


def dev_write(filp, buf, count, f_pos):
    name = kzalloc(32, GFP_KERNEL)
    left = copy_from_user(name, buf, count)  # here
    kfree(name)
    return -EFAULT if left else count


def program(k):
    misc = miscdevice(name="dev", fops=file_operations(write=dev_write))
    misc_register(misc)
    p = k.user()
    p.write(p.open("/dev/dev"), bytes(100))
    p.exit()
    misc_deregister(misc)
