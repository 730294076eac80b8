"""A mutex that stays locked when a check fails.

Wrong: the ``return -EINVAL`` in the middle leaves with the mutex held; the next writer waits for ever.
Right: ``goto unlock``, or the check before the lock.
Expected: ``lock-held-at-return``, at the ``mutex_lock`` in ``locked_write``.
"""

from kmock.linux.errno import EFAULT, EINVAL, ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.mutex import DEFINE_MUTEX, mutex_lock, mutex_unlock
from kmock.linux.slab import GFP_KERNEL, kfree, kzalloc
from kmock.linux.uaccess import copy_from_user

SIZE = 64

MODULE_LICENSE("GPL")

lock = DEFINE_MUTEX("locked_lock")
text = None


def locked_write(filp, buf, count, f_pos):
    mutex_lock(lock)
    if count > SIZE:
        return -EINVAL
    if copy_from_user(text, buf, count):
        mutex_unlock(lock)
        return -EFAULT
    mutex_unlock(lock)
    return count


locked = miscdevice(name="locked", fops=file_operations(owner=THIS_MODULE, write=locked_write))


def locked_init():
    global text
    text = kzalloc(SIZE, GFP_KERNEL)
    if not text:
        return -ENOMEM
    err = misc_register(locked)
    if err:
        kfree(text)
    return err


def locked_exit():
    misc_deregister(locked)
    kfree(text)


module_init(locked_init)
module_exit(locked_exit)
