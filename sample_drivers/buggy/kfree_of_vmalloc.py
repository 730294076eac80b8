"""A table that outgrew kmalloc, and is still freed as if it came from there.

Wrong: ``kfree`` of what ``vmalloc`` returned. It looks for a slab where there is none.
Right: ``vfree``; or ``kvmalloc`` and ``kvfree``, which know both.
Expected: ``kfree-of-vmalloc``, at the ``kfree`` in ``table_release``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import kfree
from kmock.linux.vmalloc import vzalloc

ENTRIES = 100_000

MODULE_LICENSE("GPL")


def table_open(inode, filp):
    filp.private_data = vzalloc(ENTRIES * 8)
    return 0 if filp.private_data else -ENOMEM


def table_release(inode, filp):
    kfree(filp.private_data)
    return 0


table = miscdevice(name="table", fops=file_operations(owner=THIS_MODULE, open=table_open, release=table_release))


def table_init():
    return misc_register(table)


def table_exit():
    misc_deregister(table)


module_init(table_init)
module_exit(table_exit)
