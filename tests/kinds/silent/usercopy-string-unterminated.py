from kmock.linux.errno import EFAULT, ENAMETOOLONG
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import strncpy_from_user

SIZE = 16


def dev_ioctl(filp, cmd, arg):
    n = strncpy_from_user(filp.private_data, arg, SIZE)
    if n < 0:
        return -EFAULT
    if n == SIZE:
        return -ENAMETOOLONG
    return 0


def dev_open(inode, filp):
    filp.private_data = kzalloc(SIZE, GFP_KERNEL)
    return 0


def dev_release(inode, filp):
    kfree(filp.private_data)
    return 0


def good(k):
    fops = file_operations(open=dev_open, unlocked_ioctl=dev_ioctl, release=dev_release)
    misc_register(miscdevice(name="dev", fops=fops))
    p = k.user()
    fd = p.open("/dev/dev")
    p.ioctl(fd, 1, p.buffer(b"short\0"))
    try:
        p.ioctl(fd, 1, p.buffer(b"much too long for it\0"))
    except OSError as error:
        assert error.errno == ENAMETOOLONG
