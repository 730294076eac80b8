from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.types import Struct, sizeof, u8, u32
from kmock.linux.uaccess import copy_to_user


class Status(Struct):
    state: u8
    errors: u32


def dev_read(filp, buf, count, f_pos):
    status = Status.at(kzalloc(sizeof(Status), GFP_KERNEL))
    status.state = 1
    status.errors = 0
    left = copy_to_user(buf, status, sizeof(Status))
    kfree(status)
    return -EFAULT if left else sizeof(Status)


def good(k):
    misc_register(miscdevice(name="dev", fops=file_operations(read=dev_read)))
    p = k.user()
    p.read(p.open("/dev/dev"), 64)
