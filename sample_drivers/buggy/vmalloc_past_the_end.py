"""A frame of lines in vmalloc memory, cleared one line too far.

Wrong: the loop runs to ``LINES``, included. Behind the area lies its guard page, and nothing is mapped there.
Right: ``range(LINES)``.
Expected: ``vmalloc-out-of-bounds``, at the ``memset`` in ``frame_ioctl``.
"""

from kmock.linux.errno import ENOMEM
from kmock.linux.fs import file_operations
from kmock.linux.miscdevice import misc_deregister, misc_register, miscdevice
from kmock.linux.module import MODULE_LICENSE, THIS_MODULE, module_exit, module_init
from kmock.linux.string import memset
from kmock.linux.vmalloc import vfree, vmalloc

LINES = 16
WIDTH = 1024

MODULE_LICENSE("GPL")

pixels = None


def frame_ioctl(filp, cmd, arg):
    for line in range(LINES + 1):
        memset(pixels + line * WIDTH, 0, WIDTH)
    return 0


frame = miscdevice(name="frame", fops=file_operations(owner=THIS_MODULE, unlocked_ioctl=frame_ioctl))


def frame_init():
    global pixels
    pixels = vmalloc(LINES * WIDTH)
    if not pixels:
        return -ENOMEM
    err = misc_register(frame)
    if err:
        vfree(pixels)
    return err


def frame_exit():
    misc_deregister(frame)
    vfree(pixels)


module_init(frame_init)
module_exit(frame_exit)
