"""A buffer that is freed by a command, and again when the file is closed.

Wrong: ``RESET`` frees ``filp->private_data`` and leaves the pointer in it. ``release`` can't know.
Right: set the pointer to NULL where it is freed; ``kfree(NULL)`` does nothing.
Expected: ``slab-double-free``, at the ``kfree`` in ``twice_release``.
"""

from kmock.linux.errno import ENOMEM, ENOTTY
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc

RESET = 1

MODULE_LICENSE("GPL")


def twice_open(inode, filp):
    filp.private_data = kzalloc(128, GFP_KERNEL)
    return 0 if filp.private_data else -ENOMEM


def twice_ioctl(filp, cmd, arg):
    if cmd != RESET:
        return -ENOTTY
    kfree(filp.private_data)
    return 0


def twice_release(inode, filp):
    kfree(filp.private_data)
    return 0


twice = miscdevice(
    name="twice",
    fops=file_operations(owner=THIS_MODULE, open=twice_open, unlocked_ioctl=twice_ioctl, release=twice_release),
)


def twice_init():
    return misc_register(twice)


def twice_exit():
    misc_deregister(twice)


module_init(twice_init)
module_exit(twice_exit)
