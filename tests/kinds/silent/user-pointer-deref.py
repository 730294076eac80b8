from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_register, miscdevice
from kmock.linux.uaccess import get_user


def dev_write(filp, buf, count, f_pos):
    err, filp.private_data = get_user(buf)
    return -EFAULT if err else count


def good(k):
    misc_register(miscdevice(name="dev", fops=file_operations(write=dev_write)))
    p = k.user()
    assert p.write(p.open("/dev/dev"), b"x") == 1
