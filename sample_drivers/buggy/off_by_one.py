"""A string with no room for its end.

Wrong: up to 64 characters are accepted into 64 bytes, and then the NUL is put behind them.
Right: accept at most ``SIZE - 1``.
Expected: ``slab-out-of-bounds-right``, at the store in ``label_write``.
"""

from kmock.linux.errno import EFAULT, EINVAL, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user

SIZE = 64

MODULE_LICENSE("GPL")

label = None


def label_write(filp, buf, count, f_pos):
    if count > SIZE:
        return -EINVAL
    if copy_from_user(label, buf, count):
        return -EFAULT
    label[count] = 0
    return count


label_device = miscdevice(name="label", fops=file_operations(owner=THIS_MODULE, write=label_write))


def label_init():
    global label
    label = kzalloc(SIZE, GFP_KERNEL)
    if not label:
        return -ENOMEM
    err = misc_register(label_device)
    if err:
        kfree(label)
    return err


def label_exit():
    misc_deregister(label_device)
    kfree(label)


module_init(label_init)
module_exit(label_exit)
