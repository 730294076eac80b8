from kmock.linux.errno import EFAULT, EINVAL
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user


def dev_write(filp, buf, count, f_pos):
    if count > 32:
        return -EINVAL
    name = kzalloc(32, GFP_KERNEL)
    left = copy_from_user(name, buf, count)
    kfree(name)
    return -EFAULT if left else count


def program(k):
    misc = miscdevice(name="dev", fops=file_operations(write=dev_write))
    misc_register(misc)
    p = k.user()
    fd = p.open("/dev/dev")
    assert p.write(fd, bytes(32)) == 32
    try:
        p.write(fd, bytes(100))
    except OSError as error:
        assert error.errno == EINVAL
    p.exit()
    misc_deregister(misc)
