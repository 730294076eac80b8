"""A module whose static variable holds an object, and that never frees it."""

from kmock.linux.errno import ENODEV
from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.module import module_exit, module_init, module_param
from kmock.linux.slab import kzalloc

fail = 0
module_param("fail", int, 0)


class static:
    held = None
    address = 0


def init():
    static.held = kzalloc(100, GFP_KERNEL)
    static.address = int(static.held)
    return -ENODEV if fail else 0


def leave():
    pass


module_init(init)
module_exit(leave)
