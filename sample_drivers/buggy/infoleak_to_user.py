"""A structure with a hole in it, filled member by member and copied to the process as a whole.

Wrong: between ``state`` and ``errors`` the compiler leaves three bytes that nobody writes; the process gets what the
memory held before. Right: ``kzalloc``, or ``memset`` before the members are set.
Expected: ``infoleak-padding``, at the ``copy_to_user`` in ``status_read``.
"""

from kmock.linux.errno import EFAULT, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import Struct, sizeof, u8, u32
from kmock.linux.uaccess import copy_to_user

MODULE_LICENSE("GPL")


class Status(Struct):
    state: u8
    errors: u32


def status_read(filp, buf, count, f_pos):
    p = kmalloc(sizeof(Status), GFP_KERNEL)
    if not p:
        return -ENOMEM
    status = Status.at(p)
    status.state = 1
    status.errors = 0
    count = min(count, sizeof(Status))
    failed = copy_to_user(buf, p, count)
    kfree(p)
    return -EFAULT if failed else count


status_device = miscdevice(name="status", fops=file_operations(owner=THIS_MODULE, read=status_read))


def status_init():
    return misc_register(status_device)


def status_exit():
    misc_deregister(status_device)


module_init(status_init)
module_exit(status_exit)
