"""An init that fails half way and keeps what it had by then.

Wrong: when the device number can't be had, the table that was allocated before is forgotten.
Right: ``goto free_table``: undo the steps in reverse order.
Expected: ``leak-on-error-path``, at the ``kcalloc`` in ``table_init``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations, register_chrdev, unregister_chrdev
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import GFP_KERNEL, kcalloc, kfree

MISC_MAJOR = 10  # which belongs to somebody else

MODULE_LICENSE("GPL")

table = None
table_fops = file_operations(owner=THIS_MODULE)


def table_init():
    global table
    table = kcalloc(16, 32, GFP_KERNEL)
    if not table:
        return -ENOMEM
    err = register_chrdev(MISC_MAJOR, "table", table_fops)
    if err < 0:
        return err
    return 0


def table_exit():
    unregister_chrdev(MISC_MAJOR, "table")
    kfree(table)


module_init(table_init)
module_exit(table_exit)
