"""userbuf: a device that fills buffers of processes where they lie.

The C idiom: fetch the request once and look at every number in it; count the pages with the offset in the first one;
pin them for writing; treat fewer pages than asked for as an error, and give back those that came; say that they were
written to when they are given back.
"""

from kmock.linux.errno import EFAULT, EINVAL, ENOTTY
from kmock.linux.fs import file_operations
from kmock.linux.highmem import kmap_local_page, kunmap_local
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import (
    FOLL_WRITE,
    PAGE_SHIFT,
    PAGE_SIZE,
    offset_in_page,
    pin_user_pages_fast,
    unpin_user_pages,
    unpin_user_pages_dirty_lock,
)
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.string import memset
from kmock.linux.types import Struct, u8, u32, u64
from kmock.linux.uaccess import copy_from_user

FILL = 1
MOST = 64 * PAGE_SIZE

MODULE_LICENSE("GPL")


class request(Struct):
    addr: u64
    length: u32
    value: u8


def fill_pages(pages, offset, length, value):
    for page in pages:
        n = min(PAGE_SIZE - offset, length)
        p = kmap_local_page(page)
        memset(p + offset, value, n)
        kunmap_local(p)
        length -= n
        offset = 0


def userbuf_fill(req):
    if not 0 < req.length <= MOST:
        return -EINVAL
    offset = offset_in_page(req.addr)
    nr = (offset + req.length + PAGE_SIZE - 1) >> PAGE_SHIFT
    n, pages = pin_user_pages_fast(req.addr, nr, FOLL_WRITE)
    if n != nr:
        if n > 0:
            unpin_user_pages(pages, n)
        return n if n < 0 else -EFAULT
    fill_pages(pages, offset, req.length, req.value)
    unpin_user_pages_dirty_lock(pages, n, True)
    return 0


def userbuf_ioctl(filp, cmd, arg):
    if cmd != FILL:
        return -ENOTTY
    req = request()
    if copy_from_user(req, arg, 13):
        return -EFAULT
    return userbuf_fill(req)


userbuf = miscdevice(name="userbuf", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=userbuf_ioctl))


def userbuf_init():
    return misc_register(userbuf)


def userbuf_exit():
    misc_deregister(userbuf)


module_init(userbuf_init)
module_exit(userbuf_exit)
