from kmock.linux.errno import EFAULT
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.mm import PAGE_SHIFT, PAGE_SIZE, offset_in_page, pin_user_pages_fast, unpin_user_pages
from kmock.linux.types import Struct, u32, u64
from kmock.linux.uaccess import copy_from_user


class buffer(Struct):
    addr: u64
    length: u32


def dev_ioctl(filp, cmd, arg):
    want = buffer()
    if copy_from_user(want, arg, 12):
        return -EFAULT
    nr = (offset_in_page(want.addr) + want.length + PAGE_SIZE - 1) >> PAGE_SHIFT
    n, pages = pin_user_pages_fast(want.addr, nr, 0)
    if n > 0:
        unpin_user_pages(pages, n)
    return 0 if n == nr else -EFAULT


def good(k):
    misc = miscdevice(name="dev", fops=file_operations(unlocked_ioctl=dev_ioctl))
    misc_register(misc)
    p = k.user()
    data = p.buffer(8192)
    arg = p.buffer((int(data) + 4000).to_bytes(8, "little") + (200).to_bytes(4, "little"))
    p.ioctl(p.open("/dev/dev"), 1, arg)
    p.exit()
    misc_deregister(misc)
