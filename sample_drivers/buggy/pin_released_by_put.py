"""A pin is given back as if it were a reference.

Wrong: ``notify_ioctl`` calls ``put_page`` on what ``pin_user_pages_fast`` gave: one of its 1024 references goes.
Right: ``unpin_user_pages_dirty_lock``, since it was written to.
Expected: ``gup-put-vs-unpin``, at the ``put_page`` in ``notify_ioctl``.
"""

from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import FOLL_WRITE, page_address, pin_user_pages_fast, put_page, set_page_dirty_lock
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init

MODULE_LICENSE("GPL")


def notify_ioctl(filp, cmd, arg):
    n, pages = pin_user_pages_fast(arg, 1, FOLL_WRITE)
    if n < 1:
        return -EFAULT
    page_address(pages[0])[0:4] = b"done"
    set_page_dirty_lock(pages[0])
    put_page(pages[0])
    return 0


notify = miscdevice(name="notify", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=notify_ioctl))


def notify_init():
    return misc_register(notify)


def notify_exit():
    misc_deregister(notify)


module_init(notify_init)
module_exit(notify_exit)
