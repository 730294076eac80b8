"""An allocation that may sleep, with a spinlock held.

Wrong: ``GFP_KERNEL`` may wait for memory, and whoever spins for the lock meanwhile spins that long.
Right: allocate before taking the lock, or with ``GFP_ATOMIC``.
Expected: ``alloc-gfp-kernel-under-spinlock``, at the ``kmalloc`` in ``sleepy_write``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.spinlock import DEFINE_SPINLOCK, spin_lock, spin_unlock
from kmock.linux.types import NULL

MODULE_LICENSE("GPL")

lock = DEFINE_SPINLOCK("sleepy_lock")
last = NULL


def sleepy_write(filp, buf, count, f_pos):
    global last
    spin_lock(lock)
    entry = kmalloc(32, GFP_KERNEL)
    if not entry:
        spin_unlock(lock)
        return -ENOMEM
    kfree(last)
    last = entry
    spin_unlock(lock)
    return count


sleepy = miscdevice(name="sleepy", fops=file_operations(owner=THIS_MODULE, write=sleepy_write))


def sleepy_init():
    return misc_register(sleepy)


def sleepy_exit():
    misc_deregister(sleepy)
    kfree(last)


module_init(sleepy_init)
module_exit(sleepy_exit)
