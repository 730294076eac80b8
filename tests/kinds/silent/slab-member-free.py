from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import Struct, sizeof, u8, u32


class Request(Struct):
    length: u32
    name: u8 * 16


def program(k):
    r = Request.at(kmalloc(sizeof(Request), GFP_KERNEL))
    r.length = 0
    kfree(r)
