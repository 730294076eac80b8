from kmock.linux.slab import GFP_KERNEL, kfree, kmalloc
from kmock.linux.types import Struct, sizeof, u64


class Ring(Struct):
    head: u64
    tail: u64


def program(k):
    r = Ring.at(kmalloc(sizeof(Ring), GFP_KERNEL))
    r.head = 0
    r.tail = 0
    kfree(r)
