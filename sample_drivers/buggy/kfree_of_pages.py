"""A page that is given back by the wrong function.

Wrong: ``__get_free_page`` takes from the page allocator, ``kfree`` gives to the slab allocator.
Right: ``free_page``.
Expected: ``kfree-of-page``, at the ``kfree`` in ``pages_release``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.gfp import GFP_KERNEL, __get_free_page
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.slab import kfree

MODULE_LICENSE("GPL")


def pages_open(inode, filp):
    filp.private_data = __get_free_page(GFP_KERNEL)
    return 0 if filp.private_data else -ENOMEM


def pages_release(inode, filp):
    kfree(filp.private_data)
    return 0


pages = miscdevice(name="pages", fops=file_operations(owner=THIS_MODULE, open=pages_open, release=pages_release))


def pages_init():
    return misc_register(pages)


def pages_exit():
    misc_deregister(pages)


module_init(pages_init)
module_exit(pages_exit)
