"""A length is looked at, and then fetched again.

Wrong: ``label_ioctl`` checks the length in the header, and copies the header once more with the text: another thread of the
process may have changed it meanwhile, and it is the second one that is used.
Right: put the checked length back into the copy, or fetch only what comes after it.
Expected: ``user-double-fetch``, at the ``copy_from_user`` in ``label_ioctl``.
"""

from kmock.linux.errno import EFAULT, EINVAL
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.types import Struct, u8, u32
from kmock.linux.uaccess import copy_from_user, get_user

MOST = 60

MODULE_LICENSE("GPL")


class label(Struct):
    length: u32
    text: u8 * MOST


current_label = b""


def label_ioctl(filp, cmd, arg):
    global current_label
    err, length = get_user(arg, u32)
    if err or length > MOST:
        return -EINVAL
    mine = label()
    if copy_from_user(mine, arg, 4 + length):
        return -EFAULT
    current_label = bytes(mine.text[: mine.length])
    return 0


sticker = miscdevice(name="sticker", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=label_ioctl))


def sticker_init():
    return misc_register(sticker)


def sticker_exit():
    misc_deregister(sticker)


module_init(sticker_init)
module_exit(sticker_exit)
