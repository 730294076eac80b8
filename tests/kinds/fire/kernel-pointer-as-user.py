from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import __copy_to_user


def dev_ioctl(filp, cmd, arg):
    status = kzalloc(16, GFP_KERNEL)
    left = __copy_to_user(arg, status, 16)  # here
    kfree(status)
    return -14 if left else 0


def program(k):
    misc_register(miscdevice(name="dev", fops=file_operations(unlocked_ioctl=dev_ioctl)))
    secret = kzalloc(16, GFP_KERNEL)
    p = k.user()
    fd = p.open("/dev/dev")
    try:
        p.ioctl(fd, 1, int(secret))
    except OSError as error:
        assert error.errno == 14
    kfree(secret)
