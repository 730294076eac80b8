"""An allocation whose failure nobody reckons with.

Wrong: the result of ``kmalloc`` is used at once. On a machine with memory to spare that goes well for years.
Right: ``if (!p) return -ENOMEM;``
Expected: ``slab-null-unchecked``, at the store in ``unchecked_open``, once the allocation is made to fail.
"""

from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc

MODULE_LICENSE("GPL")


def unchecked_open(inode, filp):
    state = kmalloc(16, GFP_KERNEL)
    state.u32[0] = 1
    filp.private_data = state
    return 0


def unchecked_release(inode, filp):
    kfree(filp.private_data)
    return 0


unchecked = miscdevice(
    name="unchecked", fops=file_operations(owner=THIS_MODULE, open=unchecked_open, release=unchecked_release)
)


def unchecked_init():
    return misc_register(unchecked)


def unchecked_exit():
    misc_deregister(unchecked)


module_init(unchecked_init)
module_exit(unchecked_exit)
