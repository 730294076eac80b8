from kmock.linux.errno import EFAULT, EINVAL
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, u8, u32
from kmock.linux.uaccess import copy_from_user, get_user


class message(Struct):
    length: u32
    data: u8 * 60


def dev_ioctl(filp, cmd, arg):
    err, length = get_user(arg, u32)
    if err or length > 60:
        return -EINVAL
    msg = message.at(kzalloc(64, GFP_KERNEL))
    left = copy_from_user(msg, arg, 4 + length)
    msg.length = length  # what was checked, whatever the process has there by now
    filp.private_data = bytes(msg.data[: msg.length])
    kfree(msg)
    return -EFAULT if left else 0


def program(k):
    misc = miscdevice(name="dev", fops=file_operations(unlocked_ioctl=dev_ioctl))
    misc_register(misc)
    p = k.user()
    p.ioctl(p.open("/dev/dev"), 1, p.buffer(b"\4\0\0\0abcd"))
    p.exit()
    misc_deregister(misc)
