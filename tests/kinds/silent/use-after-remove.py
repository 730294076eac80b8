from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_to_user

MODULE_LICENSE("GPL")
state = None


def dev_read(filp, buf, count, ppos):
    return count - copy_to_user(buf, state, count)


misc = miscdevice(name="dev", fops=file_operations(owner=THIS_MODULE, read=dev_read))


def dev_init():
    global state
    state = kzalloc(64, GFP_KERNEL)
    return misc_register(misc)


def dev_exit():
    misc_deregister(misc)
    kfree(state)


module_init(dev_init)
module_exit(dev_exit)


def program(k):
    module = k.insmod(__file__)
    reader = k.user()
    fd = reader.open("/dev/dev")
    reader.read(fd, 64)
    reader.close(fd)
    k.rmmod(module)
