from kmock.linux.gfp import GFP_KERNEL
from kmock.linux.slab import kfree, kmalloc
from kmock.linux.types import Struct, sizeof, u8, u32


class message(Struct):
    name: u8[8]
    flags: u32


def program(k):
    m = message.at(kmalloc(sizeof(message), GFP_KERNEL))
    m.name[7] = 1
    kfree(m)
