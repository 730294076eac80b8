from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kmalloc


def dev_open(inode, filp):
    filp.private_data = kmalloc(64, GFP_KERNEL)  # here
    return 0 if filp.private_data else -ENOMEM


def dev_release(inode, filp):
    return 0


def program(k):
    misc_register(miscdevice(name="dev", fops=file_operations(open=dev_open, release=dev_release)))
    p = k.user()
    p.close(p.open("/dev/dev"))
