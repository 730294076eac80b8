"""A page of a process is written to, and nobody hears of it.

Wrong: ``finish_ioctl`` gives the page back with ``unpin_user_pages``: what was written is lost if the page is reclaimed.
Right: ``unpin_user_pages_dirty_lock(pages, n, True)``.
Expected: ``gup-missing-dirty``, at the ``unpin_user_pages`` in ``finish_ioctl``.
"""

from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import FOLL_WRITE, page_address, pin_user_pages_fast, unpin_user_pages
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init

MODULE_LICENSE("GPL")


def finish_ioctl(filp, cmd, arg):
    n, pages = pin_user_pages_fast(arg, 1, FOLL_WRITE)
    if n < 1:
        return -EFAULT
    page_address(pages[0])[0:4] = b"done"
    unpin_user_pages(pages, n)
    return 0


finish = miscdevice(name="finish", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=finish_ioctl))


def finish_init():
    return misc_register(finish)


def finish_exit():
    misc_deregister(finish)


module_init(finish_init)
module_exit(finish_exit)
