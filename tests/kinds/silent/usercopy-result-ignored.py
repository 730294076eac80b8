from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_to_user


def dev_ioctl(filp, cmd, arg):
    state = kzalloc(16, GFP_KERNEL)
    left = copy_to_user(arg, state, 16)
    kfree(state)
    return -EFAULT if left else 0


def program(k):
    misc = miscdevice(name="dev", fops=file_operations(unlocked_ioctl=dev_ioctl))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    try:
        p.ioctl(fd, 1, p.buffer(8))
    except OSError as error:
        assert error.errno == EFAULT
    p.exit()
    misc_deregister(misc)
