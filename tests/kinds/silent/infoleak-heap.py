from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_to_user


def dev_read(filp, buf, count, f_pos):
    reply = kzalloc(64, GFP_KERNEL)
    reply[0:5] = b"hello"
    left = copy_to_user(buf, reply, 64)
    kfree(reply)
    return -EFAULT if left else 64


def good(k):
    misc_register(miscdevice(name="dev", fops=file_operations(read=dev_read)))
    p = k.user()
    p.read(p.open("/dev/dev"), 64)
